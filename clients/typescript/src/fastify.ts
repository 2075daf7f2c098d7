/**
 * Plugin for Fastify 5.
 *
 * @module
 */

import type {
  FastifyError,
  FastifyInstance,
  FastifyPluginCallback,
  FastifyReply,
  FastifyRequest,
} from "fastify";

import { authenticate, refusal, requireVerifier } from "./bearer.js";
import type { TokenVerifier } from "./bearer.js";
import { UserServiceError } from "./errors.js";
import { toHttp } from "./http.js";
import type { HttpResponse } from "./http.js";
import { VerifyError } from "./verifier/verdict.js";
import type { Verified } from "./verifier/verdict.js";

declare module "fastify" {
  interface FastifyInstance {
    /**
     * Hook that lets a request pass if it has a valid access token, and sets `request.auth`.
     * Otherwise it answers 401, or 503 if the token could not be checked.
     */
    authenticate(request: FastifyRequest, reply: FastifyReply): Promise<unknown>;
  }
  interface FastifyRequest {
    /** Content of the access token; set by `authenticate`. */
    auth: Verified | null;
  }
}

/** Options of the plugin. */
export interface UserServiceOptions {
  verifier: TokenVerifier;
}

const plugin: FastifyPluginCallback<UserServiceOptions> = (
  fastify: FastifyInstance,
  { verifier },
  done,
) => {
  try {
    requireVerifier("the option `verifier` of userService", verifier);
  } catch (error) {
    done(error as Error);
    return;
  }
  fastify.decorateRequest("auth", null);
  fastify.decorate("authenticate", async (request: FastifyRequest, reply: FastifyReply) => {
    const { authorization } = request.headers;
    try {
      request.auth = await authenticate(verifier, authorization);
    } catch (error) {
      const response = refusal(error, authorization);
      if (response === undefined) throw error;
      return send(reply, response);
    }
    return undefined;
  });
  fastify.setErrorHandler((error: FastifyError, _request, reply) => {
    if (error instanceof UserServiceError || error instanceof VerifyError) {
      return send(reply, toHttp(error));
    }
    throw error;
  });
  done();
};

/**
 * Adds the hook `fastify.authenticate`, the property `request.auth`, and an error handler that
 * answers with the status of an error of this library.
 */
export const userService: FastifyPluginCallback<UserServiceOptions> = Object.assign(plugin, {
  // As with `fastify-plugin`: what the plugin adds applies to the instance that registers it.
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "user-service-client",
});

export default userService;

function send(reply: FastifyReply, { status, headers, body }: HttpResponse): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}
