import { randomBytes } from "node:crypto";

import { describe, nearest } from "../check.js";
import type { Fields, RequestLayout } from "../codec/layout.js";
import { UserServiceError } from "../errors.js";
import { LIMITS } from "../generated/errors.js";
import { REQUESTS } from "../generated/messages.js";
import type { Messages, RequestName } from "../generated/messages.js";
import { Methods } from "../generated/methods.js";
import { ignoreErrors } from "../log.js";
import type { Log } from "../log.js";
import { isLoopback } from "./address.js";
import type { CallPlan } from "./call.js";
import { execute } from "./engine.js";
import type { Answer } from "./engine.js";
import type { Link, NodeStatus } from "./link.js";
import { Nodes } from "./nodes.js";
import { callOptions, settings, sharedOptions } from "./options.js";
import type { CallOptions, ClientOptions, Settings } from "./options.js";

/** Number of times that a request is sent at most if the server answers BUSY. */
const BUSY_ATTEMPTS = 3;
/** Time in milliseconds for which `close` waits for the replies to requests in flight. */
const CLOSE_TIMEOUT = 10_000;

/** Parameters of a request that a server may answer only after some time. */
export interface Poll {
  /** Time for which the server may wait before it answers. */
  waitMs: number;
  /** Time limit of the whole call. */
  timeoutMs: number;
  /** Node that is used if it is connected. */
  prefer: Link | undefined;
  signal: AbortSignal;
}

/**
 * A client of the user service. It keeps one connection to each of its addresses, connects with the
 * first call and again after a connection was lost, and sends each request to the best node.
 */
export class UserServiceClient extends Methods {
  readonly #settings: Settings;
  readonly #nodes: Nodes;
  /** Address to which secrets are not sent, since they would cross a network in plaintext. */
  readonly #plaintext: string | undefined;
  #calls = 0;
  #closing: Promise<void> | undefined;

  constructor(options: ClientOptions | string | readonly string[]) {
    super();
    this.#settings = settings(options);
    this.#nodes = new Nodes(this.#settings);
    const { tls, allowPlaintext } = this.#settings;
    this.#plaintext =
      tls !== undefined || allowPlaintext
        ? undefined
        : this.#nodes.links.find(({ address }) => !isLoopback(address.host))?.text;
  }

  /**
   * Sends a request and returns its reply. Throws a `UserServiceError`. There is also a method for
   * each request, such as `login`.
   */
  override async call<N extends RequestName>(
    name: N,
    request: Messages[N]["request"],
    given: CallOptions = {},
  ): Promise<Messages[N]["reply"]> {
    const layout = layoutOf(name);
    checkFields(layout, request);
    const options = callOptions(given);
    const deadlineMs = Math.min(
      options.deadlineMs ?? this.#settings.deadlineMs,
      LIMITS.maxDeadlineMs,
    );
    const common = this.#common(layout.changes, options);
    const { waitForServer, slowAfterMs } = this.#settings;
    const { reply } = await this.#execute({
      layout,
      fields: request as unknown as Fields,
      common,
      deadlineMs,
      signal: options.signal,
      waitForServer: options.waitForServer ?? waitForServer,
      hedgeAfterMs: layout.retry === "safe" ? slowAfterMs : undefined,
      busyAttempts: BUSY_ATTEMPTS,
    });
    return reply as unknown as Messages[N]["reply"];
  }

  /**
   * Returns the same client with these options for every call that does not state others. Throws a
   * TypeError for an `idempotencyKey`, except `false`: each request has its own.
   */
  with(options: CallOptions): Methods {
    return new Bound(this, sharedOptions(options));
  }

  /** Returns the state of the connection to each address. */
  status(): NodeStatus[] {
    return this.#nodes.links.map((link) => link.status);
  }

  /** `true` if requests with a secret are refused: they would cross a network in plaintext. */
  get refusesSecrets(): boolean {
    return this.#plaintext !== undefined;
  }

  /**
   * Returns the error of sending something (`what`) that must not cross a network in plaintext.
   * @internal
   */
  plaintextError(what: string): UserServiceError {
    const message =
      `refusing to ${what} ${this.#plaintext} without TLS: set the option \`tls\`, ` +
      "or `allowPlaintext: true` if nobody else can reach the network";
    return new UserServiceError("plaintext", "not_done", message);
  }

  /** @internal */
  get log(): Log {
    return this.#settings.log;
  }

  /**
   * Waits up to 10 s for the replies to requests in flight, and closes every connection. Calls that
   * begin later fail.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Sends a request to which the answer may take `waitMs`, once to each node at most.
   * @internal
   */
  poll<N extends RequestName>(name: N, request: Messages[N]["request"], poll: Poll) {
    return this.#execute({
      layout: REQUESTS[name],
      fields: request as unknown as Fields,
      common: {},
      deadlineMs: Math.min(poll.timeoutMs, LIMITS.maxDeadlineMs),
      signal: poll.signal,
      waitForServer: false,
      hedgeAfterMs: poll.waitMs + this.#settings.slowAfterMs,
      prefer: poll.prefer,
      busyAttempts: 1,
    }) as Promise<Omit<Answer, "reply"> & { reply: Messages[N]["reply"] }>;
  }

  async #execute(plan: CallPlan): Promise<Answer> {
    if (this.#closing !== undefined) {
      throw new UserServiceError("closed", "not_done", "the client is closed");
    }
    if (this.refusesSecrets) {
      const isSecret = plan.layout.fields.some(({ kind }) => kind === "secret");
      if (isSecret) throw this.plaintextError("send a password, token or code to");
      if (isForTrusted(plan.layout)) throw this.plaintextError("read keys or revocations from");
    }
    if (!(plan.deadlineMs > 0)) {
      throw new UserServiceError("deadline", "not_done", "the deadline of the call has passed");
    }
    if (this.#calls >= this.#settings.maxCalls) {
      const message = `more than ${this.#settings.maxCalls} calls are waiting`;
      throw new UserServiceError("overloaded", "not_done", message);
    }
    this.#calls += 1;
    try {
      return await execute(this.#nodes, plan);
    } finally {
      this.#calls -= 1;
    }
  }

  #common(changes: boolean, options: CallOptions): Fields {
    const { clientAddress, idempotencyKey } = options;
    const key = idempotencyKey ?? (changes ? randomBytes(16) : undefined);
    return {
      // The zone of a link-local address is of no use to another host.
      clientAddress: clientAddress?.replace(/%.*$/, ""),
      idempotencyKey: key === false ? undefined : key,
      traceparent: options.traceparent ?? this.#traceparent(),
    };
  }

  #traceparent(): string | undefined {
    let traceparent: string | undefined;
    ignoreErrors(() => (traceparent = this.#settings.traceparent()));
    return traceparent;
  }

  async #close(): Promise<void> {
    const connections = this.#nodes.close();
    for (const connection of connections) connection.retire();
    const timer = setTimeout(() => {
      for (const connection of connections) connection.abort();
    }, CLOSE_TIMEOUT);
    await Promise.all(connections.map(({ closed }) => closed));
    clearTimeout(timer);
  }
}

/** Returns the layout of a request. Throws a TypeError if there is none of this name. */
function layoutOf(name: RequestName): RequestLayout {
  if (Object.hasOwn(REQUESTS, name)) return REQUESTS[name];
  throw new TypeError(`unknown request: expected one of ${Object.keys(REQUESTS).join(", ")}`);
}

/**
 * Throws a TypeError if `request` is not an object, or a name in it is probably a misspelling of an
 * optional field. Other names are ignored, since a request may be an object with more than that.
 */
function checkFields(layout: RequestLayout, request: unknown): void {
  if (typeof request !== "object" || request === null || Array.isArray(request)) {
    const names = layout.fields.map(({ key }) => key).join(", ");
    throw new TypeError(
      `${layout.name}: expected an object with the fields ${names}, but got ${describe(request)}`,
    );
  }
  const names = layout.fields.map(({ key }) => key);
  const missing = layout.fields.filter(({ key, tag }) => tag !== undefined && !(key in request));
  const optional = missing.map(({ key }) => key);
  if (optional.length === 0) return;
  for (const name of Object.keys(request)) {
    const near = names.includes(name) ? undefined : nearest(name, optional);
    if (near !== undefined) {
      const text = name.slice(0, 64);
      throw new TypeError(`${layout.name}: unknown field \`${text}\`; did you mean \`${near}\`?`);
    }
  }
}

/** Returns `true` for the requests that a server answers only to peers that it trusts. */
function isForTrusted({ type }: RequestLayout): boolean {
  return type >= 0x20 && type <= 0x2f;
}

/** A client with options that apply to every call. */
class Bound extends Methods {
  readonly #client: UserServiceClient;
  readonly #options: CallOptions;

  constructor(client: UserServiceClient, options: CallOptions) {
    super();
    this.#client = client;
    this.#options = options;
  }

  override async call<N extends RequestName>(
    name: N,
    request: Messages[N]["request"],
    options: CallOptions = {},
  ): Promise<Messages[N]["reply"]> {
    return this.#client.call(name, request, { ...this.#options, ...callOptions(options) });
  }
}
