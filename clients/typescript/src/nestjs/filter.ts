import { Catch } from "@nestjs/common";
import type { ArgumentsHost, ExceptionFilter } from "@nestjs/common";

import { UserServiceError } from "../errors.js";
import { toHttp } from "../http.js";
import { VerifyError } from "../verifier/verdict.js";

/** Response of Express or Fastify. */
interface Response {
  /** `true` once Express has sent the headers. */
  headersSent?: boolean;
  /** `true` once Fastify has sent the response. */
  sent?: boolean;
  status(code: number): Response;
  header(name: string, value: string): Response;
  send(body: unknown): unknown;
}

/**
 * Filter that answers with the status of an error of this library. It passes an error on that is
 * not one of a request of HTTP.
 */
@Catch(UserServiceError, VerifyError)
export class UserServiceExceptionFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    if (host.getType() !== "http") throw error;
    const response = host.switchToHttp().getResponse<Response>();
    // A part of the response, such as of a stream, cannot be taken back.
    if (response.headersSent || response.sent) return;
    const { status, headers, body } = toHttp(error);
    for (const [name, value] of Object.entries(headers)) response.header(name, value);
    response.status(status).send(body);
  }
}
