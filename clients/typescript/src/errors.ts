import type { EncodeError } from "./codec/error.js";
import type { ErrorAction, Outcome } from "./codec/layout.js";
import { CLASSES, ERRORS, ErrorCode, LIMITS, UNKNOWN_CLASS } from "./generated/errors.js";
import type { ErrorName } from "./generated/errors.js";
import type { ErrorReply } from "./generated/messages.js";

/**
 * Kind of an error of a call:
 *
 * - `refused`: the server answered with an error; see {@link ServiceError}
 * - `connect`: the server could not be reached, or TLS failed
 * - `certificate`: the server rejected the client certificate; another attempt fails as well
 * - `lost`: the connection ended after the request was written
 * - `deadline`: the deadline passed
 * - `aborted`: the `signal` of the call was aborted
 * - `bad_reply`: the reply could not be read, or had another type
 * - `invalid_request`: a value cannot be encoded; nothing was sent
 * - `plaintext`: a secret would have crossed a network without TLS; nothing was sent
 * - `overloaded`: too many calls were waiting in this client; nothing was sent
 * - `closed`: the client was closed
 */
export type ErrorKind =
  | "refused"
  | "connect"
  | "certificate"
  | "lost"
  | "deadline"
  | "aborted"
  | "bad_reply"
  | "invalid_request"
  | "plaintext"
  | "overloaded"
  | "closed";

/** Error of a call. Messages never contain a value of the request. */
export class UserServiceError extends Error {
  override name = "UserServiceError";

  constructor(
    readonly kind: ErrorKind,
    /**
     * `not_done`: the server has not executed the request; `refused`: it decided against it;
     * `unknown`: it may have executed the request.
     */
    readonly outcome: Outcome,
    message: string,
    options?: ErrorOptions,
  ) {
    super(
      outcome === "unknown" ? `${message}; the request may have been executed` : message,
      options,
    );
    // Callers recognize an aborted call by this name, as that of `fetch`.
    if (kind === "aborted") this.name = "AbortError";
  }
}

/** Error reply of the service. */
export class ServiceError extends UserServiceError {
  override name = "ServiceError";
  /** Error code, such as 0x0501; see {@link ErrorCode}. */
  readonly code: number;
  /** Name of the code, such as `RATE_LIMITED`, or `UNKNOWN` for a code of a later version. */
  readonly codeName: ErrorName | "UNKNOWN";
  /** Time in milliseconds after which the same request may be sent again; only of class 05. */
  readonly retryAfterMs: number | undefined;
  /** Name of the invalid field. */
  readonly field: string | undefined;

  constructor(reply: ErrorReply) {
    const { code, message } = reply;
    const codeName = ERRORS.get(code)?.name ?? "UNKNOWN";
    const hex = code.toString(16).toUpperCase().padStart(4, "0");
    super("refused", actionOf(code).outcome, `${codeName} (${hex}): ${message}`);
    this.code = code;
    this.codeName = codeName;
    this.retryAfterMs =
      code >> 8 === 5 ? (reply.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS) : undefined;
    this.field = reply.field;
  }
}

/** Error of a request with a value that cannot be encoded. Nothing was sent. */
export class InvalidRequestError extends UserServiceError {
  override name = "InvalidRequestError";
  /** Name of the field, or `undefined` if the request as a whole is too long. */
  readonly field: string | undefined;

  constructor(error: EncodeError) {
    super("invalid_request", "not_done", error.message);
    this.field = error.field;
  }
}

/** Wait if `retry_after_ms` is missing from an error of class 05. */
const DEFAULT_RETRY_AFTER_MS = 1_000;

/** Returns how to act on an error code; on an unknown one by its class. */
export function actionOf(code: number): ErrorAction {
  return ERRORS.get(code) ?? CLASSES.get(code >> 8) ?? UNKNOWN_CLASS;
}

export { ErrorCode, LIMITS };
