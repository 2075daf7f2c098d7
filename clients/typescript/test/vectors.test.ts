import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  decodeBody,
  DecodeError,
  encodeFrame,
  FrameError,
  FrameReader,
  splitFrame,
} from "../dist/codec/index.js";
import type { Fields, FieldLayout, ReplyLayout } from "../dist/codec/layout.js";
import { COMMON, REPLIES, REQUESTS } from "../dist/generated/messages.js";
import { fromNotation, toNotation } from "./support/notation.js";

interface Vector {
  name: string;
  message: string;
  direction: "request" | "reply";
  id: number;
  fields: Fields;
  common?: Fields;
  hex: string;
  canonical_hex?: string;
}

interface Invalid {
  name: string;
  direction: "request" | "reply";
  level: "frame" | "message" | "incomplete";
  code?: string;
  field?: string;
  hex: string;
}

const load = (name: string) => {
  const url = new URL(`../../../user-proto/vectors/${name}`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8"));
};
const valid: Vector[] = load("valid.json").vectors;
const invalid: { vectors: Invalid[]; truncations: { of: string; valid_at: number[] }[] } =
  load("invalid.json");

const REQUESTS_BY_TYPE = new Map(Object.values(REQUESTS).map((layout) => [layout.type, layout]));

function layoutOf(direction: string, type: number): ReplyLayout {
  const layouts: ReadonlyMap<number, ReplyLayout> =
    direction === "request" ? REQUESTS_BY_TYPE : REPLIES;
  const layout = layouts.get(type);
  if (layout === undefined) throw new DecodeError(0x0101, undefined, "unknown type");
  return layout;
}

const commonOf = (direction: string): readonly FieldLayout[] =>
  direction === "request" ? COMMON : [];

/** Decodes a frame completely, as a receiver does. */
function decode(direction: string, bytes: Buffer) {
  const split = splitFrame(bytes);
  if (split === undefined) return undefined;
  const layout = layoutOf(direction, split.frame.type);
  return { ...split, layout, fields: decodeBody(layout, split.frame.body, commonOf(direction)) };
}

test(`${valid.length} valid vectors are decoded and encoded`, () => {
  assert.ok(valid.length >= 100);
  for (const vector of valid) {
    const bytes = Buffer.from(vector.hex, "hex");
    const decoded = decode(vector.direction, bytes);
    assert.ok(decoded, vector.name);
    const { frame, layout, size, fields } = decoded;
    assert.equal(size, bytes.length, vector.name);
    assert.equal(layout.name, vector.message, vector.name);
    assert.equal(frame.id, vector.id, vector.name);
    const all = [...layout.fields, ...commonOf(vector.direction)];
    const expected = { ...vector.fields, ...vector.common };
    assert.deepEqual(toNotation(all, fields), expected, vector.name);

    const own = fromNotation(layout.fields, vector.fields);
    const common = fromNotation(COMMON, vector.common ?? {});
    const encoded = encodeFrame(layout, vector.id, own, common);
    assert.equal(encoded.toString("hex"), vector.canonical_hex ?? vector.hex, vector.name);
  }
});

test(`${invalid.vectors.length} invalid vectors are refused for the right reason`, () => {
  assert.ok(invalid.vectors.length >= 500);
  for (const vector of invalid.vectors) {
    const bytes = Buffer.from(vector.hex, "hex");
    const attempt = () => decode(vector.direction, bytes);
    if (vector.level === "incomplete") {
      assert.equal(attempt(), undefined, vector.name);
      continue;
    }
    const code = Number.parseInt(vector.code ?? "", 16);
    if (vector.field === "request_id") {
      assert.equal(splitFrame(bytes)?.frame.id, 0, vector.name);
      continue;
    }
    assert.throws(attempt, (error) => {
      const isFrameError = error instanceof FrameError;
      assert.equal(isFrameError, vector.level === "frame", vector.name);
      assert.ok(isFrameError || error instanceof DecodeError, `${vector.name}: ${error}`);
      assert.equal(error.code, code, vector.name);
      if (error instanceof DecodeError) assert.equal(error.field, vector.field, vector.name);
      return true;
    });
  }
});

test("every truncation of a valid vector is refused or incomplete", () => {
  let count = 0;
  for (const { of, valid_at: validAt } of invalid.truncations) {
    const vector = valid.find(({ name }) => name === of);
    assert.ok(vector, of);
    const bytes = Buffer.from(vector.hex, "hex");
    for (let size = 0; size < bytes.length; size += 1) {
      assert.equal(splitFrame(bytes.subarray(0, size)), undefined, `${of}: ${size}`);
      count += 1;
    }
    for (let size = 0; size < bytes.length - 9; size += 1) {
      const cut = Buffer.from(bytes.subarray(0, 9 + size));
      cut.writeUInt32BE(5 + size, 0);
      const attempt = () => decode(vector.direction, cut);
      if (validAt.includes(size)) attempt();
      else assert.throws(attempt, { name: "DecodeError", code: 0x0102 }, `${of}: ${size}`);
      count += 1;
    }
  }
  assert.ok(count > 6_000, `${count}`);
});

test("a reader reassembles frames from chunks of any size", () => {
  const stream = Buffer.concat(valid.slice(0, 40).map(({ hex }) => Buffer.from(hex, "hex")));
  for (const size of [1, 2, 3, 7, 64, 1_000, stream.length]) {
    const reader = new FrameReader();
    const ids: number[] = [];
    for (let at = 0; at < stream.length; at += size) {
      for (const frame of reader.push(stream.subarray(at, at + size))) ids.push(frame.id);
    }
    assert.deepEqual(
      ids,
      valid.slice(0, 40).map(({ id }) => id),
    );
  }
});

test("a value that cannot be encoded is refused without printing it", () => {
  const cases: [keyof typeof REQUESTS, Fields, string][] = [
    ["Login", { login: "\ud800", password: "p" }, "login"],
    ["Login", { login: "ada", password: "secret\udfff" }, "password"],
    ["ResendCode", { verificationId: "not-a-uuid" }, "verificationId"],
    ["WatchRevocations", { cursor: new Uint8Array(), waitMs: -1 }, "waitMs"],
    ["VerifyToken", { accessToken: "s".repeat(65_536) }, "accessToken"],
  ];
  for (const [name, fields, field] of cases) {
    assert.throws(
      () => encodeFrame(REQUESTS[name], 1, fields),
      (error: Error & { field?: string }) => {
        assert.equal(error.name, "EncodeError");
        assert.equal(error.field, field);
        assert.ok(!error.message.includes("not-a-uuid") && !error.message.includes("sss"));
        return true;
      },
    );
  }
});
