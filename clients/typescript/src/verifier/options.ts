import { isCount, isLog, isNonEmptyText, isTime, readOptions } from "../check.js";
import type { Rules } from "../check.js";
import type { Log } from "../log.js";

/** Options of a verifier. */
export interface VerifierOptions {
  /** Expected `iss` claim: JWT_ISSUER of the service; by default `user-service`. */
  issuer?: string | undefined;
  /** Expected `aud` claim: JWT_AUDIENCE of the service; by default `user-service`. */
  audience?: string | undefined;
  /** Age of the revocations in milliseconds over which the service is asked; by default 5,000. */
  ageLimitMs?: number | undefined;
  /**
   * Time in milliseconds for which a server waits for a revocation before it answers; by default
   * 300, at most 5,000.
   */
  waitMs?: number | undefined;
  /** Number of tokens that are cached, with about 300 bytes each; by default 100,000. */
  cachedTokens?: number | undefined;
  /**
   * Number of revocations that are stored; by default 1,000,000. If there are more, the service is
   * asked about every token.
   */
  maxRevocations?: number | undefined;
  /** Time limit for asking the service about one token in milliseconds; by default 3,000. */
  askTimeoutMs?: number | undefined;
  /** Number of tokens about which the service is asked at the same time; by default 128. */
  maxAsking?: number | undefined;
  /**
   * Function that writes a line to the log: one when tokens cannot be checked any more, and one
   * when they can be again. By default, it is that of the client.
   */
  log?: Log | false | undefined;
}

const RULES: Rules<VerifierOptions> = {
  issuer: isNonEmptyText,
  audience: isNonEmptyText,
  ageLimitMs: isTime(0),
  waitMs: isCount(0),
  cachedTokens: isCount(0),
  maxRevocations: isCount(0),
  askTimeoutMs: isTime(1),
  maxAsking: isCount(1),
  log: isLog,
};

/** Names of the options of a verifier. */
export const VERIFIER_OPTIONS: readonly string[] = Object.keys(RULES);

/** Options of a verifier with all defaults. */
export type VerifierSettings = {
  [K in Exclude<keyof VerifierOptions, "log">]-?: NonNullable<VerifierOptions[K]>;
};

/** Checks the options. Throws a TypeError. */
export function verifierOptions(options: VerifierOptions): VerifierOptions {
  return readOptions("options of a verifier", options, RULES);
}

/** Returns the options with the defaults of all that are missing. */
export function verifierSettings(options: VerifierOptions): VerifierSettings {
  return {
    issuer: options.issuer ?? "user-service",
    audience: options.audience ?? "user-service",
    ageLimitMs: options.ageLimitMs ?? 5_000,
    waitMs: Math.min(options.waitMs ?? 300, 5_000),
    cachedTokens: Math.max(2, options.cachedTokens ?? 100_000),
    maxRevocations: options.maxRevocations ?? 1_000_000,
    askTimeoutMs: options.askTimeoutMs ?? 3_000,
    maxAsking: options.maxAsking ?? 128,
  };
}
