import { Inject, Logger, Module } from "@nestjs/common";
import type {
  DynamicModule,
  FactoryProvider,
  OnApplicationShutdown,
  Provider,
} from "@nestjs/common";

import { describe, isAnything, isFunction, readOptions } from "../check.js";
import type { Rules } from "../check.js";
import { UserServiceClient } from "../client/client.js";
import type { ClientOptions } from "../client/options.js";
import type { VerifierOptions } from "../verifier/options.js";
import { Verifier } from "../verifier/verifier.js";
import { AuthGuard } from "./guard.js";

/** Options of the module. */
export interface UserServiceModuleOptions extends ClientOptions {
  verifier?: VerifierOptions;
}

/** Options of the module that depend on other providers. */
export interface UserServiceModuleAsyncOptions {
  imports?: NonNullable<DynamicModule["imports"]>;
  inject?: NonNullable<FactoryProvider["inject"]>;
  useFactory: (...args: never[]) => UserServiceModuleOptions | Promise<UserServiceModuleOptions>;
}

const ASYNC_RULES: Rules<UserServiceModuleAsyncOptions> = {
  imports: isAnything,
  inject: isAnything,
  useFactory: isFunction,
};

const OPTIONS = Symbol("options of UserServiceModule");

/**
 * Global module that provides a `UserServiceClient`, a `Verifier` and an `AuthGuard`. It closes the
 * connections when the application is closed.
 */
@Module({})
export class UserServiceModule implements OnApplicationShutdown {
  constructor(
    @Inject(UserServiceClient) private readonly client: UserServiceClient,
    @Inject(Verifier) private readonly verifier: Verifier,
  ) {}

  /** Throws a TypeError if there are no options. The client and the verifier check the rest. */
  static forRoot(options: UserServiceModuleOptions): DynamicModule {
    requireObject("UserServiceModule.forRoot", options);
    return define({ provide: OPTIONS, useValue: options }, []);
  }

  /** Throws a TypeError if an option is missing or unknown. */
  static forRootAsync(options: UserServiceModuleAsyncOptions): DynamicModule {
    const what = "UserServiceModule.forRootAsync";
    const { imports = [], inject = [], useFactory } = readOptions(what, options, ASYNC_RULES);
    if (useFactory === undefined) {
      throw new TypeError(`${what}: expected the option \`useFactory\``);
    }
    return define({ provide: OPTIONS, useFactory, inject }, imports);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.verifier.close();
    await this.client.close();
  }
}

function requireObject(what: string, options: unknown): void {
  if (typeof options === "object" && options !== null) return;
  throw new TypeError(`${what}: expected options, but got ${describe(options)}`);
}

function define(options: Provider, imports: NonNullable<DynamicModule["imports"]>): DynamicModule {
  return {
    module: UserServiceModule,
    global: true,
    imports,
    providers: [
      options,
      {
        provide: UserServiceClient,
        useFactory: (given: UserServiceModuleOptions) => {
          requireObject("useFactory of UserServiceModule.forRootAsync", given);
          const { verifier: _, ...options } = given;
          const logger = new Logger("UserServiceModule");
          return new UserServiceClient({ log: (line) => logger.warn(line), ...options });
        },
        inject: [OPTIONS],
      },
      {
        provide: Verifier,
        useFactory: (client: UserServiceClient, { verifier }: UserServiceModuleOptions) =>
          new Verifier(client, verifier),
        inject: [UserServiceClient, OPTIONS],
      },
      AuthGuard,
    ],
    exports: [UserServiceClient, Verifier, AuthGuard],
  };
}
