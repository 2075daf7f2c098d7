import { Catch } from "@nestjs/common";
import type { ArgumentsHost, ExceptionFilter } from "@nestjs/common";

import { UserServiceError } from "../errors.js";
import { toHttp } from "../http.js";
import { VerifyError } from "../verifier/verdict.js";

/** Response of Express or Fastify. */
interface Response {
  status(code: number): Response;
  header(name: string, value: string): Response;
  send(body: unknown): unknown;
}

/** Filter that answers with the status of an error of this library. */
@Catch(UserServiceError, VerifyError)
export class UserServiceExceptionFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    const { status, headers, body } = toHttp(error);
    const response = host.switchToHttp().getResponse<Response>();
    for (const [name, value] of Object.entries(headers)) response.header(name, value);
    response.status(status).send(body);
  }
}
