import { isIPv4, isIPv6 } from "node:net";

const DEFAULT_PORT = 3001;

/** Host and port of a node. */
export interface Address {
  host: string;
  port: number;
}

/** Splits `host:port`, `[ipv6]:port` or `host`. Throws a TypeError if the port is not valid. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? DEFAULT_PORT);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new TypeError(`invalid address ${JSON.stringify(text)}: expected host:port`);
  }
  return { host, port };
}

/**
 * Returns `true` for an address of the loopback interface and for `localhost`. Any other name
 * counts as remote, since only its resolver decides on its address.
 */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  if (isIPv4(name)) return name.startsWith("127.");
  if (!isIPv6(name)) return name === "localhost";
  // The URL parser writes an address in its shortest form.
  const short = new URL(`http://[${name.split("%")[0]}]`).hostname;
  return short === "[::1]" || /^\[::ffff:7f[0-9a-f]{2}:/.test(short);
}
