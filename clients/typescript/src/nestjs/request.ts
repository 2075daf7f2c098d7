import type { ExecutionContext } from "@nestjs/common";
import type { IncomingHttpHeaders } from "node:http";

import type { Verified } from "../verifier/verdict.js";

/** Request of Express or Fastify. */
export interface HttpRequest {
  headers: IncomingHttpHeaders;
  /** Content of the access token; set by `AuthGuard`. */
  auth?: Verified;
}

/** Returns the request. Throws a TypeError if it is not one of HTTP, such as a message. */
export function requestOf(context: ExecutionContext): HttpRequest {
  const type = context.getType<string>();
  if (type === "http") return context.switchToHttp().getRequest<HttpRequest>();
  throw new TypeError(`AuthGuard: expected a request of HTTP, but got one of the type ${type}`);
}
