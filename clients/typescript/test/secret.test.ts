import assert from "node:assert/strict";
import { test } from "node:test";
import { format, inspect } from "node:util";

import { Secret } from "user-service-client";

test("a secret is not printed", () => {
  const secret = new Secret("hunter2-ünïcode");
  const object = { user: "ada", nested: { list: [secret] } };
  for (const text of [
    `${secret}`,
    String(secret),
    "" + (secret as unknown as string),
    secret.toString(),
    JSON.stringify(object),
    inspect(object, { depth: 9, showHidden: true }),
    format("%s %o %O %j %i", secret, secret, secret, secret, secret),
    Object.entries(secret).join(),
    [secret].join(),
    inspect(new Error("x", { cause: secret })),
  ]) {
    assert.ok(!text.includes("hunter2"), text);
  }
  assert.equal(JSON.stringify({ secret }), '{"secret":"[secret]"}');
  assert.equal(secret.reveal(), "hunter2-ünïcode");
  const bytes = Uint8Array.of(0xff, 0x00);
  assert.deepEqual(new Secret(bytes).revealBytes(), bytes);
  assert.equal(Secret.from(secret), secret);
});

test("a secret is not changed, and not made of anything but text or bytes", () => {
  assert.equal(new Secret("\ufeffbom").reveal(), "\ufeffbom");
  for (const value of [undefined, null, 5, {}, ["hunter2"], "hunter2\ud800", Promise.resolve()]) {
    assert.throws(() => new Secret(value as never), (error: Error) => {
      assert.ok(error instanceof TypeError);
      assert.ok(!error.message.includes("hunter2"), error.message);
      return true;
    });
  }
});
