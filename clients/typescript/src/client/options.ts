import type { ConnectionOptions } from "node:tls";

import {
  describe,
  isAnything,
  isCount,
  isFlag,
  isFunction,
  isLog,
  isNonEmptyText,
  isSignal,
  isText,
  isTime,
  readOptions,
} from "../check.js";
import type { Rule, Rules } from "../check.js";
import { ignoreErrors, logTo } from "../log.js";
import type { Log } from "../log.js";

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
  /**
   * Function that writes a line to the log: one when an address cannot be connected to, and one
   * when that works again. By default it is `console.warn`; `false` is no log.
   */
  log?: Log | false | undefined;
}

const isPem: Rule = (value) => {
  const parts: unknown[] = Array.isArray(value) ? value : [value];
  const isContent = (part: unknown): boolean => {
    if (typeof part === "object" && part !== null && "pem" in part) return isContent(part.pem);
    if (typeof part !== "string" && !(part instanceof Uint8Array)) return false;
    return Buffer.from(part as Uint8Array).includes("-----BEGIN ");
  };
  const isValid = parts.length > 0 && parts.every(isContent);
  return isValid ? undefined : "the content of a PEM file (read it with readFileSync)";
};

const CALL_RULES: Rules<CallOptions> = {
  deadlineMs: (value) =>
    typeof value === "number" && !Number.isNaN(value) ? undefined : "milliseconds",
  signal: isSignal,
  clientAddress: isText,
  traceparent: isText,
  idempotencyKey: (value) => {
    if (value === false) return undefined;
    if (!(value instanceof Uint8Array)) return "16 bytes, or false for none";
    // As from a buffer that was never filled: it would be the same for all requests.
    return value.some((byte) => byte !== 0) ? undefined : "16 bytes that are not all zero";
  },
  waitForServer: isFlag,
};

const TLS_RULES: Rules<TlsOptions> = {
  ca: isPem,
  cert: isPem,
  key: isPem,
  serverName: isNonEmptyText,
};

const CLIENT_RULES: Rules<ClientOptions> = {
  addresses: isAnything,
  tls: (value) =>
    typeof value === "boolean" || typeof value === "function" || typeof value === "object"
      ? undefined
      : "true, an object, or a function that returns one",
  allowPlaintext: isFlag,
  deadlineMs: isTime(1),
  connectTimeoutMs: isTime(1),
  waitForServer: isFlag,
  slowAfterMs: isTime(1),
  maxCalls: isCount(1),
  traceparent: isFunction,
  onConnectionError: isFunction,
  log: isLog,
};

/** Names of the options of a client. */
export const CLIENT_OPTIONS: readonly string[] = Object.keys(CLIENT_RULES);

/** Checks the options of a call. Throws a TypeError. */
export function callOptions(options: CallOptions): CallOptions {
  return readOptions("options of a call", options, CALL_RULES);
}

/** Checks the options of several calls. Throws a TypeError. */
export function sharedOptions(options: CallOptions): CallOptions {
  const read = callOptions(options);
  if (!read.idempotencyKey) return read;
  throw new TypeError("options of several calls: an `idempotencyKey` is for one request only");
}

/** Checks the options of TLS. Throws a TypeError. */
export function tlsOptions(options: TlsOptions): TlsOptions {
  const read = readOptions("`tls`", options, TLS_RULES);
  if ((read.cert === undefined) !== (read.key === undefined)) {
    throw new TypeError("`tls`: `cert` and `key` need each other");
  }
  return read;
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
  log: Log;
}

/** Returns the options with the defaults of all that are missing. Throws a TypeError. */
export function settings(options: ClientOptions | string | readonly string[]): Settings {
  const isList = typeof options === "string" || Array.isArray(options);
  const given = readOptions<ClientOptions>(
    "options of a client",
    isList ? { addresses: options } : options,
    CLIENT_RULES,
  );
  return {
    addresses: addressList(given.addresses),
    tls: tlsSource(given.tls),
    allowPlaintext: given.allowPlaintext ?? false,
    deadlineMs: given.deadlineMs ?? 10_000,
    connectTimeoutMs: given.connectTimeoutMs ?? 5_000,
    waitForServer: given.waitForServer ?? true,
    slowAfterMs: given.slowAfterMs ?? 100,
    maxCalls: given.maxCalls ?? 10_000,
    traceparent: given.traceparent ?? (() => undefined),
    onConnectionError: (error, address) => {
      ignoreErrors(() => given.onConnectionError?.(error, address));
    },
    log: logTo(given.log),
  };
}

function addressList(given: unknown): string[] {
  const list: unknown = typeof given === "string" ? given.split(",") : given;
  const isList = Array.isArray(list) && list.every((address) => typeof address === "string");
  if (!isList) {
    const got = Array.isArray(list) ? "an array of other values" : describe(list);
    throw new TypeError(`expected addresses (host:port, as a text or an array), but got ${got}`);
  }
  const addresses = (list as string[]).map((address) => address.trim());
  const present = addresses.filter((address) => address !== "");
  if (present.length === 0) {
    throw new TypeError("expected at least one address (host:port), but got none");
  }
  return present;
}

/** Returns the function that is called for every connection. */
function tlsSource(tls: ClientOptions["tls"] | false): (() => TlsOptions) | undefined {
  if (tls === undefined || tls === false) return undefined;
  // Without the check, a function that returns nothing would turn TLS off.
  if (typeof tls === "function") return () => tlsOptions(tls());
  const fixed = tlsOptions(tls === true ? {} : tls);
  return () => fixed;
}
