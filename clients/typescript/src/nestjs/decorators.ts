import { createParamDecorator } from "@nestjs/common";
import type { ExecutionContext } from "@nestjs/common";

import type { Verified } from "../verifier/verdict.js";
import { requestOf } from "./request.js";

/** Returns the content of the access token. Throws an error on a route without `AuthGuard`. */
export function authOf(context: ExecutionContext): Verified {
  const { auth } = requestOf(context);
  if (auth === undefined) throw new Error("no authenticated user: use AuthGuard on this route");
  return auth;
}

/** Parameter with the id of the authenticated user. */
export const UserId: () => ParameterDecorator = createParamDecorator(
  (_: undefined, context: ExecutionContext) => authOf(context).userId,
);

/** Parameter with the content of the access token (`Verified`). */
export const Auth: () => ParameterDecorator = createParamDecorator(
  (_: undefined, context: ExecutionContext) => authOf(context),
);
