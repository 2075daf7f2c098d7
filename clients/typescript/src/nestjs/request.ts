import type { ExecutionContext } from "@nestjs/common";
import type { IncomingHttpHeaders } from "node:http";

import type { Verified } from "../verifier/verdict.js";

/** Request of Express or Fastify. */
export interface HttpRequest {
  headers: IncomingHttpHeaders;
  /** Content of the access token; set by `AuthGuard`. */
  auth?: Verified;
}

export function requestOf(context: ExecutionContext): HttpRequest {
  return context.switchToHttp().getRequest<HttpRequest>();
}
