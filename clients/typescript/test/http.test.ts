import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  ServiceError,
  toHttp,
  UserServiceClient,
  UserServiceError,
  Verifier,
  VerifyError,
} from "user-service-client";

const tokens = new URL("../../../user-proto/vectors/tokens.json", import.meta.url);
const vectors = JSON.parse(readFileSync(tokens, "utf8"));

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

test("a mistake of the program is 500, one in a value of the end user 400", async () => {
  await using client = new UserServiceClient({ addresses: "127.0.0.1:1", log: false });
  await using remote = new UserServiceClient("192.0.2.1:1");
  const status = (call: Promise<unknown>) => call.then(Number, (error) => toHttp(error).status);
  const login = { login: "ada", password: "p" };
  const wrong = { wrong: 1 } as never;
  assert.equal(await status(client.login(login, { clientAddress: "x" })), 500);
  assert.equal(await status(client.login(login, { idempotencyKey: Buffer.alloc(3, 1) })), 500);
  assert.equal(await status(client.login(login, { deadlineMs: "1" as never })), 500);
  assert.equal(await status(client.login(login, wrong)), 500);
  assert.equal(await status(client.login(undefined as never)), 500);
  assert.equal(await status(client.call("Nothing" as never, {} as never)), 500);
  assert.equal(await status(remote.login(login)), 500);
  assert.equal(await status(client.login({ ...login, login: 5 as never })), 400);
  assert.equal(await status(client.resendCode({ verificationId: "x" })), 400);
  // Without a server, the checks of a verifier are 503, but not its mistakes.
  await using verifier = new Verifier(client);
  const { token } = vectors.vectors[0];
  assert.equal(await status(verifier.verify(token)), 503);
  assert.equal(await status(verifier.verify(token, { clientAddress: "x" })), 500);
  assert.equal(await status(verifier.verify(token, wrong)), 500);
  assert.equal(await status(verifier.verify(undefined as never)), 500);
  assert.equal(await status(verifier.verify("x")), 401);
});
