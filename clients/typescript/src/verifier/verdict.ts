/** Content of a valid access token. */
export interface Verified {
  /** Id of the user. */
  readonly userId: string;
  /** Id of the session. */
  readonly sessionId: string;
  /** Time of issue in seconds since 1970-01-01T00:00:00Z. */
  readonly issuedAt: number;
  /** Time of expiry in seconds since 1970-01-01T00:00:00Z. */
  readonly expiresAt: number;
  /** Age in milliseconds of the revocations that were considered, if it is over one second. */
  readonly staleMs?: number;
}

/**
 * Reason for which a token was not accepted. `unavailable`: it could not be checked, neither in
 * memory nor by the service, so it is neither valid nor invalid.
 */
export type VerifyReason = "invalid" | "expired" | "revoked" | "unavailable";

const MESSAGES: Record<VerifyReason, string> = {
  invalid: "the token is not an access token of this service",
  expired: "the token has expired",
  revoked: "the session of the token has ended",
  unavailable: "the token could not be checked, because the service is not available",
};

/** Error of a token that was not accepted. */
export class VerifyError extends Error {
  override readonly name = "VerifyError";

  constructor(
    readonly reason: VerifyReason,
    options?: ErrorOptions,
  ) {
    super(MESSAGES[reason], options);
  }
}
