import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ServiceError, toHttp, UserServiceError, VerifyError } from "user-service-client";

const url = new URL("../../../user-proto/PROTOCOL.md", import.meta.url);
const section = readFileSync(url, "utf8").split("### In terms of HTTP")[1]?.split("\n#")[0] ?? "";

const status = (code: number, retryAfterMs?: number) => {
  const { status, headers } = toHttp(new ServiceError({ code, message: "secret", retryAfterMs }));
  return [status, headers["retry-after"]];
};

test("the statuses are those of the table in PROTOCOL.md", () => {
  let rows = 0;
  for (const [, codes, http, retry] of section.matchAll(
    /^\| ([^|]*`[^|]*|unknown class) \| (\d+) \| (.*) \|$/gm,
  )) {
    const list: number[] = [];
    for (const [, text = ""] of (codes ?? "").matchAll(/`([0-9A-F]{4})`/g))
      list.push(parseInt(text, 16));
    for (const [, text = ""] of (codes ?? "").matchAll(/class `(\d\d)`/g)) {
      list.push(parseInt(text, 16) * 256 + 0xfe);
    }
    if (codes === "unknown class") list.push(0x7f01, 0x0001);
    for (const code of list) {
      rows += 1;
      const expected = retry === "-" ? undefined : retry === "1" ? "1" : "5";
      assert.deepEqual(status(code, 4_001), [Number(http), expected], code.toString(16));
    }
  }
  assert.ok(rows >= 25, `${rows}`);
});

test("a call without a reply is 503 if nothing was done, and 504 if the outcome is unknown", () => {
  const of = (error: unknown) => toHttp(error).status;
  assert.equal(of(new UserServiceError("connect", "not_done", "x")), 503);
  assert.equal(of(new UserServiceError("lost", "unknown", "x")), 504);
  assert.equal(of(new VerifyError("unavailable")), 503);
  for (const reason of ["invalid", "expired", "revoked"] as const) {
    const response = toHttp(new VerifyError(reason));
    assert.equal(response.status, 401);
    assert.equal(response.headers["www-authenticate"], 'Bearer error="invalid_token"');
  }
  assert.deepEqual(toHttp(new Error("internal details")), {
    status: 500,
    headers: {},
    body: { error: "INTERNAL", message: "internal error" },
  });
});

test("a response names the field, but never the message of the server", () => {
  const error = new ServiceError({ code: 0x0205, message: "details", field: "device" });
  assert.deepEqual(toHttp(error).body, {
    error: "INVALID_VALUE",
    message: "The value of the field is not valid.",
    field: "device",
  });
});
