// The part that all HTTP frameworks share: from an `Authorization` header to a verdict.

import { describe } from "./check.js";
import { UserServiceClient } from "./client/client.js";
import { UserServiceError } from "./errors.js";
import { toHttp } from "./http.js";
import type { HttpResponse } from "./http.js";
import { VerifyError } from "./verifier/verdict.js";
import type { Verified } from "./verifier/verdict.js";

/** What checks a token: a `Verifier`, or a substitute in tests. */
export interface TokenVerifier {
  verify(token: string): Promise<Verified>;
}

/** Throws a TypeError if `verifier` cannot check tokens. `what` is the name of the function. */
export function requireVerifier(what: string, verifier: unknown): void {
  const verify: unknown = (verifier as Partial<TokenVerifier> | null | undefined)?.verify;
  if (typeof verify === "function") return;
  const hint =
    verifier instanceof UserServiceClient ? "; create one with `new Verifier(client)`" : "";
  throw new TypeError(`${what}: expected a Verifier, but got ${describe(verifier)}${hint}`);
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

/**
 * Returns the response to a request that was not authenticated, or `undefined` for an error that is
 * not of this library, such as a wrong argument: the application has to handle it.
 */
export function refusal(error: unknown, header: string | undefined): HttpResponse | undefined {
  if (!(error instanceof VerifyError) && !(error instanceof UserServiceError)) return undefined;
  if (header !== undefined && header !== "") return toHttp(error);
  // RFC 6750, section 3.1: no error code without a token.
  return {
    status: 401,
    headers: { "www-authenticate": "Bearer" },
    body: { error: "TOKEN_MISSING", message: "an access token is required" },
  };
}
