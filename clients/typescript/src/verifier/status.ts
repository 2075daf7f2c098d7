/** State and counters of a verifier. The counters start with 0 when it is created. */
export interface Status {
  /** `true` if tokens are checked in memory. */
  ready: boolean;
  /** Age of the revocations in milliseconds; `undefined` before all of them have arrived. */
  ageMs: number | undefined;
  /** Number of public keys. It is 0 if the service signs tokens with HS256. */
  keys: number;
  /** Number of revoked sessions and users. */
  revocations: number;
  /** Number of cached tokens. */
  cachedTokens: number;
  /** Number of checks in memory by result. */
  valid: number;
  invalid: number;
  expired: number;
  revoked: number;
  /** Number of checks that found the token in the cache. */
  cacheHits: number;
  /** Number of tokens about which the service was asked. */
  asked: number;
  /** Number of tokens about which the service was asked without an answer. */
  unavailable: number;
  /** Error of the last call for keys or revocations; `undefined` if it succeeded. */
  lastError: string | undefined;
}

/** The counters of a status. */
export class Counters {
  valid = 0;
  invalid = 0;
  expired = 0;
  revoked = 0;
  cacheHits = 0;
  asked = 0;
  unavailable = 0;
}
