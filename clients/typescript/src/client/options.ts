import type { ConnectionOptions } from "node:tls";

/** Options of one call. */
export interface CallOptions {
  /** Time limit of the call with all its attempts; at most 30,000 and by default 10,000. */
  deadlineMs?: number | undefined;
  /** Signal that ends the call. The server may still execute a request that was sent. */
  signal?: AbortSignal | undefined;
  /** IP address of the end user, by which the server counts rate limits. */
  clientAddress?: string | undefined;
  /** Trace of the request (W3C Trace Context). */
  traceparent?: string | undefined;
  /**
   * Key of the intended change, 16 bytes. By default, the client generates one for every call that
   * changes something. `false` sends none; the call is then not repeated if its outcome is unknown.
   */
  idempotencyKey?: Uint8Array | false | undefined;
  /** As in the options of the client. */
  waitForServer?: boolean | undefined;
}

/** TLS of a client. Only TLS 1.3 is used. All values are in PEM format. */
export interface TlsOptions {
  /** Certificates of the trusted authorities; by default those of Node. */
  ca?: ConnectionOptions["ca"];
  /** Client certificate, followed by its intermediate certificates. */
  cert?: ConnectionOptions["cert"];
  /** Private key of `cert`. */
  key?: ConnectionOptions["key"];
  /** Name that the server's certificate must contain; by default the host of the address. */
  serverName?: string | undefined;
}

/** Options of a client. */
export interface ClientOptions {
  /** Addresses of the nodes (`host:port`); the default port is 3001. */
  addresses: readonly string[] | string;
  /**
   * TLS, with `true` for the defaults. A function is called for every new connection, so that
   * renewed certificates are used.
   */
  tls?: TlsOptions | true | (() => TlsOptions) | undefined;
  /** If `true`, secrets are sent without TLS to addresses that are not loopback. */
  allowPlaintext?: boolean | undefined;
  /** Deadline of calls that do not state one, in milliseconds; by default 10,000. */
  deadlineMs?: number | undefined;
  /** Time limit for one attempt to connect, with the TLS handshake; by default 5,000. */
  connectTimeoutMs?: number | undefined;
  /**
   * If `true` (default), a call waits for a server until its deadline if none is reachable.
   * Otherwise it fails as soon as no address can be connected to.
   */
  waitForServer?: boolean | undefined;
  /**
   * Time without a reply after which a request that changes nothing is also sent to another node,
   * in milliseconds; by default 100. The first reply counts.
   */
  slowAfterMs?: number | undefined;
  /** Number of calls that may wait or be in flight in this client; by default 10,000. */
  maxCalls?: number | undefined;
  /** Function that returns the `traceparent` of calls that do not state one. */
  traceparent?: (() => string | undefined) | undefined;
  /** Function that is called for every connection that fails, for logs. */
  onConnectionError?: ((error: Error, address: string) => void) | undefined;
}

/** Options of a client with all defaults. */
export interface Settings {
  addresses: string[];
  tls: (() => TlsOptions) | undefined;
  allowPlaintext: boolean;
  deadlineMs: number;
  connectTimeoutMs: number;
  waitForServer: boolean;
  slowAfterMs: number;
  maxCalls: number;
  traceparent: () => string | undefined;
  onConnectionError: (error: Error, address: string) => void;
}

/** Returns the options with the defaults of all that are missing. */
export function settings(options: ClientOptions | string | readonly string[]): Settings {
  const given: ClientOptions =
    typeof options === "object" && "addresses" in options ? options : { addresses: options };
  const list = typeof given.addresses === "string" ? given.addresses.split(",") : given.addresses;
  const addresses = list.map((address) => address.trim()).filter((address) => address !== "");
  if (addresses.length === 0) throw new TypeError("expected at least one address (host:port)");
  const { tls } = given;
  return {
    addresses,
    tls: typeof tls === "function" ? tls : tls ? () => (tls === true ? {} : tls) : undefined,
    allowPlaintext: given.allowPlaintext ?? false,
    deadlineMs: given.deadlineMs ?? 10_000,
    connectTimeoutMs: given.connectTimeoutMs ?? 5_000,
    waitForServer: given.waitForServer ?? true,
    slowAfterMs: given.slowAfterMs ?? 100,
    maxCalls: given.maxCalls ?? 10_000,
    traceparent: given.traceparent ?? (() => undefined),
    onConnectionError: (error, address) => {
      try {
        given.onConnectionError?.(error, address);
      } catch {
        // An error of the application must not keep the client from connecting.
      }
    },
  };
}
