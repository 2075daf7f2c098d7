// The part that all HTTP frameworks share: from an `Authorization` header to a verdict.

import { toHttp } from "./http.js";
import type { HttpResponse } from "./http.js";
import { VerifyError } from "./verifier/verdict.js";
import type { Verified } from "./verifier/verdict.js";

/** What checks a token: a `Verifier`, or a substitute in tests. */
export interface TokenVerifier {
  verify(token: string): Promise<Verified>;
}

/**
 * Returns the token of an `Authorization` header with the scheme Bearer (RFC 6750), or `undefined`
 * if it has none.
 */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i.exec(header ?? "")?.[1];
}

/** Checks the token of an `Authorization` header. Throws a VerifyError. */
export async function authenticate(
  verifier: TokenVerifier,
  header: string | undefined,
): Promise<Verified> {
  const token = bearerToken(header);
  if (token === undefined) throw new VerifyError("invalid");
  return verifier.verify(token);
}

/** Returns the response to a request that was not authenticated. */
export function refusal(error: unknown, header: string | undefined): HttpResponse {
  if (header !== undefined && header !== "") return toHttp(error);
  // RFC 6750, section 3.1: no error code without a token.
  return {
    status: 401,
    headers: { "www-authenticate": "Bearer" },
    body: { error: "TOKEN_MISSING", message: "an access token is required" },
  };
}
