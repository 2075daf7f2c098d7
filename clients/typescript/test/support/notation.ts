// The notation of fields in valid.json and in the messages of `user-cli conform`.

import type { Fields, FieldLayout } from "../../dist/codec/layout.js";
import { Secret } from "../../dist/secret.js";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Returns the fields of a message as the client expects them. */
export function fromNotation(layouts: readonly FieldLayout[], fields: Fields): Fields {
  const result: Fields = {};
  for (const layout of layouts) {
    const value = fields[layout.name];
    if (value !== undefined && value !== null) result[layout.key] = fromValue(layout, value);
  }
  return result;
}

function fromValue(layout: FieldLayout, value: unknown): unknown {
  switch (layout.kind) {
    case "secret":
      if (typeof value === "string") return value;
      return Buffer.from((value as { hex: string }).hex, "hex");
    case "bytes":
    case "key":
      return Buffer.from(value as string, "hex");
    case "error_code":
      return Number.parseInt(value as string, 16);
    case "list":
      return (value as Fields[]).map((row) => fromNotation(layout.rows ?? [], row));
    default:
      return value;
  }
}

/** Returns the fields of a message in the notation. */
export function toNotation(layouts: readonly FieldLayout[], fields: Fields): Fields {
  const result: Fields = {};
  for (const layout of layouts) {
    const value = fields[layout.key];
    if (value !== undefined) result[layout.name] = toValue(layout, value);
  }
  return result;
}

function toValue(layout: FieldLayout, value: unknown): unknown {
  switch (layout.kind) {
    case "secret":
      return secret((value as Secret).revealBytes());
    case "bytes":
    case "key":
      return Buffer.from(value as Uint8Array).toString("hex");
    case "error_code":
      return (value as number).toString(16).toUpperCase().padStart(4, "0");
    case "list":
      return (value as Fields[]).map((row) => toNotation(layout.rows ?? [], row));
    default:
      return value;
  }
}

function secret(bytes: Uint8Array): unknown {
  try {
    return utf8.decode(bytes);
  } catch {
    return { hex: Buffer.from(bytes).toString("hex") };
  }
}
