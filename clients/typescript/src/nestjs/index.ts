/**
 * Module, guard, filter and parameter decorator for NestJS 11 and 12.
 *
 * @module
 */

export { AuthGuard, Public } from "./guard.js";
export { Auth, UserId } from "./decorators.js";
export { UserServiceExceptionFilter } from "./filter.js";
export { UserServiceModule } from "./module.js";
export type { UserServiceModuleAsyncOptions, UserServiceModuleOptions } from "./module.js";
