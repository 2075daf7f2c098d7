/**
 * A ClientProxy for `@nestjs/microservices`.
 *
 * @module
 */

import { ClientProxy } from "@nestjs/microservices";
import type { ReadPacket, WritePacket } from "@nestjs/microservices";

import { UserServiceClient } from "../client/client.js";
import type { CallOptions, ClientOptions } from "../client/options.js";
import { REQUESTS } from "../generated/messages.js";
import type { RequestName } from "../generated/messages.js";

/**
 * Fields of a request with options of its call. It is a class, so that no field of a JSON body can
 * take the place of the options.
 */
export class UserServiceRecord {
  constructor(
    readonly fields: Record<string, unknown>,
    readonly options: CallOptions,
  ) {}
}

/** Data of a message: the fields of a request. */
export type ProxyData = Record<string, unknown> | UserServiceRecord;

/**
 * A ClientProxy with the names of the requests as patterns: `proxy.send("Ping", {})` returns an
 * Observable of the reply. It sends nothing before there is a subscriber.
 */
export class UserServiceProxy extends ClientProxy {
  readonly #client: UserServiceClient;

  /** `options` are those of a client, or a client that is shared. */
  constructor(options: UserServiceClient | ClientOptions) {
    super();
    this.#client = options instanceof UserServiceClient ? options : new UserServiceClient(options);
  }

  /** Checks that the service can be reached. */
  override async connect(): Promise<void> {
    await this.#client.ping();
  }

  override close(): Promise<void> {
    return this.#client.close();
  }

  override unwrap<T>(): T {
    return this.#client as T;
  }

  protected override publish(
    { pattern, data }: ReadPacket<ProxyData | undefined>,
    callback: (packet: WritePacket) => void,
  ): () => void {
    const abort = new AbortController();
    this.#send(pattern, data ?? {}, abort.signal).then(
      (response) => callback({ response, isDisposed: true }),
      (err: unknown) => callback({ err, isDisposed: true }),
    );
    return () => abort.abort();
  }

  /** The service has no events: sends the request, and discards the reply. */
  protected override dispatchEvent<T>({ pattern, data }: ReadPacket): Promise<T> {
    const fields = (data as ProxyData | null | undefined) ?? {};
    return this.#send(pattern, fields, undefined) as Promise<T>;
  }

  #send(pattern: unknown, data: ProxyData, signal: AbortSignal | undefined): Promise<unknown> {
    if (typeof pattern !== "string" || !Object.hasOwn(REQUESTS, pattern)) {
      const expected = Object.keys(REQUESTS).join(", ");
      return Promise.reject(new TypeError(`unknown request: expected one of ${expected}`));
    }
    const { fields, options } =
      data instanceof UserServiceRecord ? data : { fields: data, options: {} };
    return this.#client.call(pattern as RequestName, fields as never, { signal, ...options });
  }
}
