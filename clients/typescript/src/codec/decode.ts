import { LIMITS } from "../generated/errors.js";
import { Secret } from "../secret.js";
import { DecodeError, malformed } from "./error.js";
import type { FieldKind, FieldLayout, Fields, ReplyLayout } from "./layout.js";
import { isAddress, uuidText } from "./values.js";

const TRUNCATED = "is truncated";
const WRONG_SIZE = "has the wrong length";

/** Sizes of the types of fixed width in bytes. */
const SIZES: Partial<Record<FieldKind, number>> = {
  uuid: 16,
  instant: 8,
  instant_ms: 8,
  seconds: 4,
  millis: 4,
  number: 4,
  byte: 1,
  error_code: 2,
  key: 16,
  flag: 0,
};

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes the body of a message. `common` are further tags that it may have. */
export function decodeBody(
  layout: ReplyLayout,
  body: Buffer,
  common: readonly FieldLayout[] = [],
): Fields {
  return decodeFields([...layout.fields, ...common], body);
}

function decodeFields(layouts: readonly FieldLayout[], bytes: Buffer): Fields {
  const fields: Fields = {};
  let at = 0;
  for (const layout of layouts) {
    if (layout.tag !== undefined) continue;
    const { value, end } = decodeRequired(layout, bytes, at);
    fields[layout.key] = value;
    at = end;
  }
  decodeTail(layouts, bytes.subarray(at), fields);
  return fields;
}

function decodeRequired(
  layout: FieldLayout,
  bytes: Buffer,
  at: number,
): { value: unknown; end: number } {
  if (layout.kind === "list") return decodeList(layout, bytes, at);
  const fixed = SIZES[layout.kind];
  const start = fixed === undefined ? at + 2 : at;
  if (start > bytes.length) throw malformed(layout.name, TRUNCATED);
  const end = start + (fixed ?? bytes.readUInt16BE(at));
  if (end > bytes.length) throw malformed(layout.name, TRUNCATED);
  return { value: decodeValue(layout, bytes.subarray(start, end)), end };
}

function decodeTail(layouts: readonly FieldLayout[], tail: Buffer, fields: Fields): void {
  let last = -1;
  for (let at = 0; at < tail.length;) {
    const tag = tail.readUInt8(at);
    if (tag <= last) throw malformed("tail", "has tags that are not in strictly increasing order");
    last = tag;
    if (at + 3 > tail.length) throw malformed("tail", TRUNCATED);
    const end = at + 3 + tail.readUInt16BE(at + 1);
    if (end > tail.length) throw malformed("tail", TRUNCATED);
    const value = tail.subarray(at + 3, end);
    const layout = layouts.find((layout) => layout.tag === tag);
    if (layout !== undefined) {
      fields[layout.key] = decodeTagged(layout, value);
    } else if (tag % 2 === 0) {
      const text = `0x${tag.toString(16).toUpperCase().padStart(2, "0")}`;
      throw new DecodeError(0x0103, text, "is an unknown even tag");
    }
    at = end;
  }
}

function decodeTagged(layout: FieldLayout, value: Buffer): unknown {
  if (layout.kind === "list") {
    const list = decodeList(layout, value, 0);
    if (list.end !== value.length) throw malformed(layout.name, "has trailing bytes");
    return list.value;
  }
  const size = SIZES[layout.kind];
  if (size !== undefined && size !== value.length) throw malformed(layout.name, WRONG_SIZE);
  return decodeValue(layout, value);
}

/** Decodes a list. It keeps nothing of a row that is not completely present. */
function decodeList(
  layout: FieldLayout,
  bytes: Buffer,
  start: number,
): { value: Fields[]; end: number } {
  const cut = () => malformed(layout.name, TRUNCATED);
  if (start + 2 > bytes.length) throw cut();
  const count = bytes.readUInt16BE(start);
  const rows: Fields[] = [];
  let at = start + 2;
  for (let index = 0; index < count; index += 1) {
    if (at + 2 > bytes.length) throw cut();
    const end = at + 2 + bytes.readUInt16BE(at);
    if (end > bytes.length) throw cut();
    try {
      rows.push(decodeFields(layout.rows ?? [], bytes.subarray(at + 2, end)));
    } catch (error) {
      if (error instanceof DecodeError) throw malformed(layout.name, `has a row: ${error.message}`);
      throw error;
    }
    at = end;
  }
  return { value: rows, end: at };
}

/** Decodes a value of the right size. The result shares no memory with `bytes`. */
function decodeValue(layout: FieldLayout, bytes: Buffer): unknown {
  switch (layout.kind) {
    case "text":
      return decodeText(layout, bytes);
    case "address": {
      const text = decodeText(layout, bytes);
      if (!isAddress(text)) throw malformed(layout.name, "is not an IP address");
      return text;
    }
    case "secret":
      return new Secret(bytes);
    case "bytes":
    case "key":
      return Uint8Array.from(bytes);
    case "uuid":
      return uuidText(bytes);
    case "instant":
    case "instant_ms": {
      const value = bytes.readBigUInt64BE(0);
      if (value > BigInt(LIMITS.maxInstant)) throw malformed(layout.name, "exceeds 2^53-1");
      return Number(value);
    }
    case "flag":
      return true;
    default:
      return bytes.readUIntBE(0, bytes.length);
  }
}

function decodeText(layout: FieldLayout, bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw malformed(layout.name, "is not valid UTF-8");
  }
}
