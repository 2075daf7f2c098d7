/**
 * Middleware for Express 4 and 5, and for every framework with the same handlers.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";

import { authenticate as check, refusal, requireVerifier } from "./bearer.js";
import type { TokenVerifier } from "./bearer.js";
import { UserServiceError } from "./errors.js";
import { toHttp } from "./http.js";
import type { HttpResponse } from "./http.js";
import { VerifyError } from "./verifier/verdict.js";
import type { Verified } from "./verifier/verdict.js";

declare global {
  namespace Express {
    interface Request {
      /** Content of the access token; set by `authenticate`. */
      auth?: Verified;
    }
  }
}

type Next = (error?: unknown) => void;

/**
 * Returns a middleware that lets a request with a valid access token pass, and sets `req.auth`.
 * Otherwise it answers 401, or 503 if the token could not be checked.
 */
export function authenticate(
  verifier: TokenVerifier,
): (req: IncomingMessage & { auth?: Verified }, res: ServerResponse, next: Next) => void {
  requireVerifier("authenticate", verifier);
  return (req, res, next) => {
    const { authorization } = req.headers;
    check(verifier, authorization).then(
      (verified) => {
        req.auth = verified;
        next();
      },
      (error: unknown) => {
        const response = refusal(error, authorization);
        if (response === undefined) next(error);
        else send(res, response);
      },
    );
  };
}

/**
 * Returns an error handler that answers with the status of an error of this library. It passes any
 * other error on.
 */
export function errorHandler(...misuse: never[]): (
  error: unknown,
  req: IncomingMessage,
  res: ServerResponse,
  next: Next,
) => void {
  if (misuse.length > 0) throw new TypeError("errorHandler: expected app.use(errorHandler())");
  return (error, _req, res, next) => {
    const isOurs = error instanceof UserServiceError || error instanceof VerifyError;
    if (!isOurs || res.headersSent) next(error);
    else send(res, toHttp(error));
  };
}

function send(res: ServerResponse, { status, headers, body }: HttpResponse): void {
  // The application may have answered in the meantime, for example because of a time limit.
  if (res.headersSent) return;
  res.statusCode = status;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.setHeader("content-type", "application/json; charset=utf-8");
  res.end(JSON.stringify(body));
}
