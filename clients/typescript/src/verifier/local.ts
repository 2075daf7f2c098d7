import { Cache, digest } from "./cache.js";
import { Keys } from "./keys.js";
import type { VerifierSettings } from "./options.js";
import { Revocations, revocationIds } from "./revocations.js";
import type { RevocationIds } from "./revocations.js";
import { Counters } from "./status.js";
import { ServiceTime } from "./time.js";
import { MAX_TOKEN, parseClaims, parseToken } from "./token.js";
import type { Verified, VerifyReason } from "./verdict.js";

/** Age of the revocations in milliseconds over which a verdict states it. */
const STALE_AFTER = 1_000;

/** A token with a verified signature. */
interface CachedToken {
  readonly verified: Verified;
  readonly ids: RevocationIds;
  /** Generation of the keys with which the signature was verified. */
  readonly generation: number;
}

/** Result of a check; `undefined` if the service must be asked. */
export type Verdict = Verified | VerifyReason | undefined;

/**
 * The check in memory. Every check reads the age of the revocations by the monotonic clock, so it
 * asks the service if this process was stopped or busy for longer than the age limit.
 */
export class Local {
  readonly settings: VerifierSettings;
  readonly keys = new Keys();
  readonly revocations: Revocations;
  readonly time = new ServiceTime();
  readonly counters = new Counters();
  /** Lifetime of an access token in seconds. */
  accessLife = 0;
  /** Time until which the keys are used if they are not read again. */
  keysUntil = 0;
  /**
   * `true` if the service signs with HS256, or does not let this client verify tokens. Every
   * verdict is then that of the service, with the staleness that its operator allows.
   */
  isLeftToService = false;
  /** Called for a genuine token of another issuer or audience. */
  onOther: () => void = () => {};
  /** `true` after an entry that this version does not understand. */
  hasUnknownEntry = false;

  readonly #cache: Cache<CachedToken>;
  readonly #onSurprise: () => void;
  /** Time at which the set of revocations was complete; `undefined` while it is not. */
  #completeAt: number | undefined;

  /** `onSurprise` is called for a token with an unknown key or too long a lifetime. */
  constructor(settings: VerifierSettings, onSurprise: () => void) {
    this.settings = settings;
    this.revocations = new Revocations(settings.maxRevocations);
    this.#cache = new Cache(settings.cachedTokens);
    this.#onSurprise = onSurprise;
  }

  get cachedTokens(): number {
    return this.#cache.size;
  }

  get isComplete(): boolean {
    return this.#completeAt !== undefined;
  }

  /** Age of the revocations in milliseconds, or `undefined` while they are not complete. */
  get ageMs(): number | undefined {
    if (this.#completeAt === undefined) return undefined;
    return Math.max(0, performance.now() - this.#completeAt);
  }

  /** `true` if tokens are checked in memory. */
  get isReady(): boolean {
    const age = this.ageMs;
    if (age === undefined || age > this.settings.ageLimitMs) return false;
    return performance.now() < this.keysUntil && this.keys.size > 0 && !this.hasUnknownEntry;
  }

  /**
   * Declares that the set contains everything that the service knew at this time. Entries are never
   * removed early, so an earlier statement stays true, and the later time counts.
   */
  setComplete(at: number): void {
    this.#completeAt = Math.max(this.#completeAt ?? at, at);
  }

  setIncomplete(): void {
    this.#completeAt = undefined;
  }

  clearCache(): void {
    this.#cache.clear();
  }

  /** Checks a token in memory. */
  check(token: string): Verdict {
    const verdict = this.#check(token);
    if (typeof verdict === "object") this.counters.valid += 1;
    else if (verdict !== undefined) this.counters[verdict] += 1;
    return verdict;
  }

  #check(token: string): Verdict {
    if (token.length > MAX_TOKEN) return "invalid";
    const completeAt = this.#completeAt;
    if (completeAt === undefined || this.hasUnknownEntry) return undefined;
    const key = digest(token);
    let cached = this.#cache.get(key);
    if (cached?.generation === this.keys.generation) {
      this.counters.cacheHits += 1;
    } else {
      const found = this.#verifySignature(token);
      if (typeof found !== "object") {
        return this.#isOutdated(completeAt, performance.now()) ? undefined : found;
      }
      cached = found;
      this.#cache.set(key, cached);
    }
    const { verified, ids } = cached;
    const isRevoked = this.revocations.contain(ids);
    const now = performance.now();
    if (this.#isOutdated(completeAt, now)) return undefined;
    const timing = this.time.check(verified.issuedAt, verified.expiresAt, now);
    if (timing === "expired") return "expired";
    if (timing === "disputed") return undefined;
    if (isRevoked) return "revoked";
    if (verified.expiresAt - verified.issuedAt > this.accessLife) {
      // The lifetime may have been raised since the keys were read.
      this.#onSurprise();
      return undefined;
    }
    const age = now - completeAt;
    return age > STALE_AFTER ? { ...verified, staleMs: Math.ceil(age) } : verified;
  }

  /** Returns `true` if the revocations or the keys are too old. */
  #isOutdated(completeAt: number, now: number): boolean {
    return now - completeAt > this.settings.ageLimitMs || now >= this.keysUntil;
  }

  /** Returns the content of a token with a valid signature, or `invalid`. */
  #verifySignature(text: string): CachedToken | "invalid" | undefined {
    const token = parseToken(text);
    if (token === undefined) return "invalid";
    const { generation } = this.keys;
    const key = this.keys.get(token.kid);
    if (key === undefined) {
      if (this.keys.isRevoked(token.kid)) return "invalid";
      this.#onSurprise();
      return undefined;
    }
    if (token.algorithm !== key.algorithm) return "invalid";
    if (!key.verify(Buffer.from(token.signed, "latin1"), token.signature)) return "invalid";
    const claims = parseClaims(token, this.settings.issuer, this.settings.audience);
    if (claims === undefined) return "invalid";
    // The configuration of this verifier may be wrong, so the service decides.
    if (claims === "other") {
      this.onOther();
      return undefined;
    }
    return { verified: Object.freeze(claims), ids: revocationIds(claims), generation };
  }
}
