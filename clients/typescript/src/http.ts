import { ERRORS } from "./generated/errors.js";
import { COMMON } from "./generated/messages.js";
import { actionOf, InvalidRequestError, ServiceError, UserServiceError } from "./errors.js";
import { VerifyError } from "./verifier/verdict.js";

/** Response of a gateway to its own client. */
export interface HttpResponse {
  status: number;
  /** Headers with lower-case names. */
  headers: Record<string, string>;
  body: {
    /** Name of the error code, such as `RATE_LIMITED`. */
    error: string;
    /** Description for the end user's program. It contains no details of the failure. */
    message: string;
    /** Name of the invalid field. */
    field?: string;
  };
}

/** Wait in seconds for errors that state none. */
const RETRY_AFTER = 1;

/**
 * Returns the HTTP response for an error of a call or of a verifier, as the table of PROTOCOL.md
 * defines it. Any other error becomes a 500 without details.
 */
export function toHttp(error: unknown): HttpResponse {
  if (error instanceof ServiceError) return ofReply(error);
  if (error instanceof VerifyError) return ofVerifier(error);
  if (error instanceof UserServiceError) return ofCall(error);
  return internal();
}

function internal(): HttpResponse {
  return response(500, "INTERNAL", "internal error");
}

function ofReply(error: ServiceError): HttpResponse {
  const { status } = actionOf(error.code);
  const meaning = ERRORS.get(error.code)?.meaning ?? "The request failed.";
  const result = response(status, error.codeName, meaning, error.field);
  if (error.retryAfterMs !== undefined) {
    result.headers["retry-after"] = String(Math.ceil(error.retryAfterMs / 1000));
  } else if (status === 503) {
    result.headers["retry-after"] = String(RETRY_AFTER);
  }
  if (error.codeName === "INVALID_TOKEN" || error.codeName === "TOKEN_EXPIRED") challenge(result);
  if (error.codeName === "SESSION_REVOKED") challenge(result);
  return result;
}

function ofVerifier(error: VerifyError): HttpResponse {
  if (error.reason === "unavailable") return unavailable();
  const names = {
    invalid: "INVALID_TOKEN",
    expired: "TOKEN_EXPIRED",
    revoked: "SESSION_REVOKED",
  } as const;
  const result = response(401, names[error.reason], error.message);
  challenge(result);
  return result;
}

/** The token may be valid, so the status is never 401. */
function ofCall(error: UserServiceError): HttpResponse {
  if (error.kind === "plaintext") return internal();
  if (error.kind === "invalid_request") {
    const field = error instanceof InvalidRequestError ? error.field : undefined;
    // The options of a call are not those of the end user.
    if (COMMON.some(({ key }) => key === field)) return internal();
    return response(400, "INVALID_VALUE", "The value of a field is not valid.", field);
  }
  if (error.outcome === "unknown") return response(504, "DEADLINE_EXCEEDED", "no reply in time");
  return unavailable();
}

function unavailable(): HttpResponse {
  const result = response(503, "UNAVAILABLE", "the service is not available");
  result.headers["retry-after"] = String(RETRY_AFTER);
  return result;
}

/** Adds the challenge of RFC 6750 for a token that was not accepted. */
function challenge(result: HttpResponse): void {
  result.headers["www-authenticate"] = 'Bearer error="invalid_token"';
}

function response(status: number, error: string, message: string, field?: string): HttpResponse {
  const body = field === undefined ? { error, message } : { error, message, field };
  return { status, headers: {}, body };
}
