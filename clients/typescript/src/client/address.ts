import { isIPv4, isIPv6 } from "node:net";

const DEFAULT_PORT = 3001;

/** Host and port of a node. */
export interface Address {
  host: string;
  port: number;
}

/** Splits `host:port`, `[ipv6]:port` or `host`. Throws a TypeError if the text is not valid. */
export function parseAddress(text: string): Address {
  const fail = (expected: string) =>
    new TypeError(`invalid address ${JSON.stringify(text.slice(0, 300))}: expected ${expected}`);
  if (isIPv6(text)) throw fail(`an IPv6 address in brackets, such as [${text}]:${DEFAULT_PORT}`);
  if (text.includes("://")) throw fail("host:port, without a scheme such as https://");
  const match = /^(?:\[([^\]]+)\]|([^:\[\]]+))(?::(.*))?$/s.exec(text);
  const [, ipv6, name, digits] = match ?? [];
  const host = ipv6 ?? name;
  const isHost = ipv6 === undefined ? /^[^\s/@?#]+$/.test(name ?? "") : isIPv6(ipv6);
  if (host === undefined || !isHost) throw fail("host:port, such as 127.0.0.1:3001");
  const port = Number(digits ?? DEFAULT_PORT);
  if (!/^\d+$/.test(digits ?? "0") || port < 1 || port > 65_535) {
    throw fail("host:port, with a port from 1 to 65535");
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
