// UUIDs and addresses as text.

import { isIP } from "node:net";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Returns `true` if `text` is a UUID in its hyphenated form. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** Returns the 16 bytes of a UUID in its hyphenated form. */
export function uuidBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll("-", ""), "hex");
}

/** Returns 16 bytes as a UUID in lower case. */
export function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
  return (
    `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-` +
    `${hex.slice(16, 20)}-${hex.slice(20)}`
  );
}

/** Returns `true` if `text` is an IPv4 or IPv6 address without a zone. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes("%");
}
