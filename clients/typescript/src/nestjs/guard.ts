import { HttpException, Inject, Injectable, SetMetadata } from "@nestjs/common";
import type { CanActivate, ExecutionContext } from "@nestjs/common";
import { Reflector } from "@nestjs/core";

import { authenticate, refusal, requireVerifier } from "../bearer.js";
import type { TokenVerifier } from "../bearer.js";
import { Verifier } from "../verifier/verifier.js";
import { requestOf } from "./request.js";

const PUBLIC = "user-service-client:public";

/** Lets a route, or all routes of a controller, pass `AuthGuard` without an access token. */
export const Public = () => SetMetadata(PUBLIC, true);

/**
 * Guard that lets a request pass if it has a valid access token. Otherwise the response is 401, or
 * 503 if the token could not be checked.
 */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    @Inject(Verifier) private readonly verifier: TokenVerifier,
    @Inject(Reflector) private readonly reflector: Reflector,
  ) {
    requireVerifier("AuthGuard", verifier);
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const targets = [context.getHandler(), context.getClass()];
    if (this.reflector.getAllAndOverride<boolean | undefined>(PUBLIC, targets)) return true;
    const request = requestOf(context);
    const { authorization } = request.headers;
    try {
      request.auth = await authenticate(this.verifier, authorization);
      return true;
    } catch (error) {
      const refused = refusal(error, authorization);
      if (refused === undefined) throw error;
      const { status, headers, body } = refused;
      const response = context.switchToHttp().getResponse<Response>();
      for (const [name, value] of Object.entries(headers)) setHeader(response, name, value);
      throw new HttpException(body, status, { cause: error });
    }
  }
}

/** Response of Express or Fastify. */
interface Response {
  header(name: string, value: string): unknown;
}

/** Sets a header; both frameworks have this method. */
export function setHeader(response: Response, name: string, value: string): void {
  response.header(name, value);
}
