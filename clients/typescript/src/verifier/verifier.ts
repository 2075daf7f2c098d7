import { UserServiceClient } from "../client/client.js";
import type { CallOptions, ClientOptions } from "../client/options.js";
import { Window } from "../client/window.js";
import { ServiceError, UserServiceError } from "../errors.js";
import { ErrorCode } from "../generated/errors.js";
import type { TokenVerified } from "../generated/messages.js";
import { Local } from "./local.js";
import { verifierSettings } from "./options.js";
import type { VerifierOptions } from "./options.js";
import { revocationIds } from "./revocations.js";
import type { Status } from "./status.js";
import { Task } from "./task.js";
import { parseToken } from "./token.js";
import { VerifyError } from "./verdict.js";
import type { Verified, VerifyReason } from "./verdict.js";

/** Options of a check, which apply if the service is asked. */
export type VerifyOptions = Pick<
  CallOptions,
  "clientAddress" | "traceparent" | "deadlineMs" | "signal"
>;

/** Number of tokens that may wait for the service to be asked about them. */
const MAX_WAITING = 10_000;

/**
 * Checks access tokens in memory, and still notices a revocation within a second. It follows the
 * service as section 10 of PROTOCOL.md describes. While its keys and revocations are complete and
 * not older than `ageLimitMs`, it checks tokens in memory. Otherwise, and with a service that signs
 * tokens with HS256, the same call asks the service.
 */
export class Verifier {
  readonly #client: UserServiceClient;
  readonly #ownsClient: boolean;
  readonly #local: Local;
  readonly #task: Task;
  readonly #asking: Window;
  #waiters: (() => void)[] = [];

  /**
   * Creates a verifier that uses `client`, or one with connections of its own to these addresses. A
   * client should have one verifier at most. Throws a UserServiceError of the kind `plaintext` if a
   * connection would cross a network without TLS: whoever can replace the keys can forge tokens.
   */
  constructor(
    client: UserServiceClient | ClientOptions | string | readonly string[],
    options: VerifierOptions = {},
  ) {
    this.#ownsClient = !(client instanceof UserServiceClient);
    this.#client = client instanceof UserServiceClient ? client : new UserServiceClient(client);
    if (this.#client.refusesSecrets) {
      const message = "refusing to read keys without TLS from an address that is not loopback";
      throw new UserServiceError("plaintext", "not_done", message);
    }
    const settings = verifierSettings(options);
    this.#asking = new Window(settings.maxAsking);
    this.#local = new Local(settings, () => this.#task.surprise());
    this.#task = new Task(this.#client, this.#local, () => {
      for (const waiter of this.#waiters) waiter();
    });
  }

  /** `true` if tokens are checked in memory. */
  get ready(): boolean {
    return this.#local.isReady;
  }

  /**
   * Checks a token: in memory if possible, otherwise by asking the service, with these options.
   * Throws a `VerifyError`; its `reason` is `unavailable` if the token could not be checked.
   */
  async verify(token: string, options: VerifyOptions = {}): Promise<Verified> {
    const verdict = this.#local.check(token);
    if (typeof verdict === "object") return verdict;
    if (verdict !== undefined) throw new VerifyError(verdict);
    return this.#ask(token, options);
  }

  /**
   * Checks a token in memory, without waiting. Returns `undefined` if the service must be asked,
   * with `verify`.
   */
  verifyLocal(token: string): Verified | VerifyError | undefined {
    const verdict = this.#local.check(token);
    return typeof verdict === "string" ? new VerifyError(verdict) : verdict;
  }

  /**
   * Waits until the keys and all revocations have arrived, or `limitMs` has passed. Returns `true`
   * in the first case. A service that signs tokens with HS256 has no public keys, so the verifier
   * is not `ready` even then.
   */
  waitUntilComplete(limitMs = 5_000): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isComplete: boolean) => {
        clearTimeout(timer);
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        resolve(isComplete);
      };
      const waiter = () => {
        if (this.#local.isComplete) end(true);
      };
      const timer = setTimeout(() => end(false), limitMs);
      this.#waiters.push(waiter);
      waiter();
    });
  }

  /** Returns the state and the counters. */
  status(): Status {
    const { keys, revocations, counters, cachedTokens, ageMs, isReady } = this.#local;
    return {
      ready: isReady,
      ageMs,
      keys: keys.size,
      revocations: revocations.size,
      cachedTokens,
      ...counters,
      lastError: this.#task.lastError,
    };
  }

  /**
   * Stops following the service, and closes the connections that the verifier has made itself.
   * Further checks are `unavailable` once the revocations are over the age limit.
   */
  async close(): Promise<void> {
    this.#task.stop();
    this.#asking.close();
    if (this.#ownsClient) await this.#client.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Asks the service about a token. */
  async #ask(token: string, options: VerifyOptions): Promise<Verified> {
    const parsed = parseToken(token);
    if (parsed === undefined || this.#local.keys.isRevoked(parsed.kid)) {
      // Nothing that the service could accept, or that it may still accept.
      this.#local.counters.invalid += 1;
      throw new VerifyError("invalid");
    }
    this.#local.counters.asked += 1;
    let reply: TokenVerified;
    try {
      reply = await this.#askService(token, options);
    } catch (error) {
      throw this.#failure(reasonOf(error), error);
    }
    // The node that answered may be behind the one that is followed.
    if (this.#local.keys.isRevoked(parsed.kid)) throw new VerifyError("invalid");
    if (this.#local.revocations.contain(revocationIds(reply))) throw new VerifyError("revoked");
    const { staleMs, ...verified } = reply;
    if (staleMs === undefined) return verified;
    const isTooOld = staleMs > this.#local.settings.ageLimitMs;
    if (isTooOld && !this.#local.isLeftToService) throw this.#failure("unavailable");
    return { ...verified, staleMs };
  }

  async #askService(token: string, options: VerifyOptions): Promise<TokenVerified> {
    const { askTimeoutMs } = this.#local.settings;
    const limit = Math.min(options.deadlineMs ?? askTimeoutMs, askTimeoutMs);
    const start = performance.now();
    if (!(await this.#takeTurn(limit, options.signal))) {
      throw new UserServiceError("overloaded", "not_done", "too many tokens are being checked");
    }
    try {
      const deadlineMs = Math.max(1, limit - (performance.now() - start));
      const call = { ...options, deadlineMs, waitForServer: false };
      return await this.#client.verifyToken({ accessToken: token }, call);
    } finally {
      this.#asking.release();
    }
  }

  /** Waits until the service may be asked about a further token, for at most `limit`. */
  async #takeTurn(limit: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#asking.tryAcquire()) return true;
    if (this.#asking.waiting >= MAX_WAITING || signal?.aborted) return false;
    let cancel: () => void = () => {};
    const cancelled = new Promise<void>((resolve) => {
      cancel = resolve;
    });
    const timer = setTimeout(cancel, limit);
    signal?.addEventListener("abort", cancel, { once: true });
    const taken = await this.#asking.acquire(cancelled);
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
    return taken;
  }

  #failure(reason: VerifyReason, cause?: unknown): VerifyError {
    if (reason === "unavailable") this.#local.counters.unavailable += 1;
    return new VerifyError(reason, cause === undefined ? {} : { cause });
  }
}

/** Returns what an error of VerifyToken says about the token; most say nothing about it. */
function reasonOf(error: unknown): VerifyReason {
  if (!(error instanceof ServiceError)) return "unavailable";
  switch (error.code) {
    case ErrorCode.TOKEN_EXPIRED:
      return "expired";
    case ErrorCode.SESSION_REVOKED:
      return "revoked";
    case ErrorCode.NOT_PERMITTED:
      return "unavailable";
    default:
      return error.code >> 8 === 3 ? "invalid" : "unavailable";
  }
}
