import { Inject, Module } from "@nestjs/common";
import type {
  DynamicModule,
  FactoryProvider,
  OnApplicationShutdown,
  Provider,
} from "@nestjs/common";

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

  static forRoot(options: UserServiceModuleOptions): DynamicModule {
    return define({ provide: OPTIONS, useValue: options }, []);
  }

  static forRootAsync(options: UserServiceModuleAsyncOptions): DynamicModule {
    const { imports = [], inject = [], useFactory } = options;
    return define({ provide: OPTIONS, useFactory, inject }, imports);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.verifier.close();
    await this.client.close();
  }
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
        useFactory: (options: UserServiceModuleOptions) => new UserServiceClient(options),
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
