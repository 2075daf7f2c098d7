import { propertyOf } from "../check.js";
import { LIMITS } from "../generated/errors.js";
import { COMMON } from "../generated/messages.js";
import { Secret } from "../secret.js";
import { EncodeError } from "./error.js";
import { HEADER } from "./frame.js";
import type { FieldLayout, Fields, ReplyLayout } from "./layout.js";
import { isAddress, isUuid, uuidBytes } from "./values.js";

const MAX_U16 = 0xffff;
const MAX_U32 = 0xffff_ffff;
const TOO_LONG = `the message exceeds the maximum frame length of ${LIMITS.maxLength} bytes`;

/** Encodes a frame: the own fields of the message, then the common tags of a request. */
export function encodeFrame(
  layout: ReplyLayout,
  id: number,
  fields: Fields,
  common: Fields = {},
): Buffer {
  const parts: Buffer[] = [Buffer.alloc(HEADER)];
  encodeFields(layout.fields, fields, parts);
  encodeFields(COMMON, common, parts);
  const frame = Buffer.concat(parts);
  if (frame.length - 4 > LIMITS.maxLength) throw new EncodeError(undefined, TOO_LONG);
  frame.writeUInt32BE(frame.length - 4, 0);
  frame.writeUInt8(layout.type, 4);
  frame.writeUInt32BE(id, 5);
  return frame;
}

function encodeFields(layouts: readonly FieldLayout[], fields: Fields, parts: Buffer[]): void {
  for (const layout of layouts) {
    const value = propertyOf(fields, layout.key);
    if (layout.tag === undefined) {
      const bytes = encodeValue(layout, value);
      if (hasLength(layout)) parts.push(lengthPrefix(layout, bytes));
      parts.push(bytes);
    } else if (value !== undefined && value !== null && value !== false) {
      const bytes = encodeValue(layout, value);
      parts.push(Buffer.from([layout.tag]), lengthPrefix(layout, bytes), bytes);
    }
  }
}

function hasLength({ kind }: FieldLayout): boolean {
  return kind === "text" || kind === "secret" || kind === "bytes" || kind === "address";
}

function lengthPrefix(layout: FieldLayout, bytes: Buffer): Buffer {
  if (bytes.length > MAX_U16) throw new EncodeError(layout.key, TOO_LONG);
  return unsigned(2, bytes.length);
}

function encodeValue(layout: FieldLayout, value: unknown): Buffer {
  const fail = (expected: string) => new EncodeError(layout.key, `expected ${expected}`);
  const integer = (size: number, max: number) => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max) {
      throw fail(`an integer from 0 to ${max}`);
    }
    return unsigned(size, value);
  };
  switch (layout.kind) {
    case "text":
      if (typeof value !== "string" || !value.isWellFormed()) throw fail("well-formed text");
      return Buffer.from(value, "utf8");
    case "address":
      if (typeof value !== "string" || !isAddress(value)) throw fail("an IP address");
      return Buffer.from(value, "utf8");
    case "secret":
      return secretBytes(value, fail);
    case "bytes":
      if (!(value instanceof Uint8Array)) throw fail("bytes");
      return Buffer.from(value);
    case "uuid":
      if (typeof value !== "string" || !isUuid(value)) throw fail("a UUID");
      return uuidBytes(value);
    case "key":
      if (!(value instanceof Uint8Array) || value.length !== 16) throw fail("16 bytes");
      return Buffer.from(value);
    case "instant":
    case "instant_ms":
      return integer(8, LIMITS.maxInstant);
    case "seconds":
    case "millis":
    case "number":
      return integer(4, MAX_U32);
    case "error_code":
      return integer(2, MAX_U16);
    case "byte":
      return integer(1, 0xff);
    case "flag":
      if (value !== true) throw fail("true or false");
      return Buffer.alloc(0);
    case "list":
      if (!Array.isArray(value) || value.length > MAX_U16) throw fail("a list");
      return encodeRows(layout, value as Fields[]);
  }
}

function encodeRows(layout: FieldLayout, rows: Fields[]): Buffer {
  const parts = [unsigned(2, rows.length)];
  for (const row of rows) {
    const fields: Buffer[] = [];
    encodeFields(layout.rows ?? [], row, fields);
    const bytes = Buffer.concat(fields);
    parts.push(lengthPrefix(layout, bytes), bytes);
  }
  return Buffer.concat(parts);
}

function secretBytes(value: unknown, fail: (expected: string) => EncodeError): Buffer {
  if (value instanceof Secret) return Buffer.from(value.revealBytes());
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (typeof value === "string" && value.isWellFormed()) return Buffer.from(value, "utf8");
  throw fail("a Secret, well-formed text or bytes");
}

function unsigned(size: number, value: number): Buffer {
  const bytes = Buffer.alloc(size);
  if (size === 8) bytes.writeBigUInt64BE(BigInt(value));
  else bytes.writeUIntBE(value, 0, size);
  return bytes;
}
