// What the verifier makes of the answers of a server that a test decides.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Verifier, VerifyError } from "user-service-client";
import type { VerifierOptions } from "user-service-client";
import { uuidBytes } from "../dist/codec/values.js";
import type { Fields } from "../dist/codec/layout.js";
import { Fake } from "./support/fake.js";
import type { Received } from "./support/fake.js";
import { sleep, until } from "./support/testbed.js";

const url = new URL("../../../user-proto/vectors/tokens.json", import.meta.url);
const vectors = JSON.parse(readFileSync(url, "utf8"));
const token: string = vectors.vectors[0].token;
const [sub, sid] = ["8f1f7b3e-8f43-4a42-9d8e-0c2a6f6f5a11", "0d4b6c1e-3f0a-4d5e-8c7b-9a1b2c3d4e5f"];
const nowMs = vectors.now * 1000;
const verified = {
  userId: sub,
  sessionId: sid,
  issuedAt: vectors.now - 100,
  expiresAt: vectors.now + 800,
};

/** Starts a server, and a verifier of it. */
async function start(
  answers: Record<string, (request: Received) => Fields | undefined>,
  options: VerifierOptions = {},
) {
  const defaults: Record<string, [string, () => Fields]> = {
    GetKeys: ["Keys", () => ({ jwks: '{"keys":[]}', accessLife: 900, refreshAfter: 300, nowMs })],
    WatchRevocations: [
      "Revocations",
      () => ({ cursor: new Uint8Array(1), staleMs: 0, more: 0, nowMs, entries: [] }),
    ],
    VerifyToken: ["TokenVerified", () => verified],
  };
  const fake = new Fake((request) => {
    const [name, usual] = defaults[request.name] ?? [];
    if (name === undefined || usual === undefined) throw new Error(request.name);
    const changes = answers[request.name]?.(request);
    if (changes !== undefined && "code" in changes) request.reply("ErrorReply", changes);
    else setTimeout(() => request.reply(name, { ...usual(), ...changes }), 5);
  });
  const verifier = new Verifier(await fake.listen(), { askTimeoutMs: 1_000, ...options });
  assert.ok(await verifier.waitUntilComplete());
  return {
    fake,
    verifier,
    check: async () => {
      try {
        return await verifier.verify(token);
      } catch (error) {
        assert.ok(error instanceof VerifyError, String(error));
        return error.reason;
      }
    },
    async [Symbol.asyncDispose]() {
      fake.close();
      await verifier.close();
    },
  };
}

test("an answer of VerifyToken is a verdict, unless its data is too old", async () => {
  for (const [staleMs, expected] of [
    [undefined, verified],
    [2_000, { ...verified, staleMs: 2_000 }],
    [5_000, { ...verified, staleMs: 5_000 }],
    [5_001, "unavailable"],
  ] as const) {
    // The last entry is not understood, so that the service is asked about every token.
    const entries = [{ kind: 99, id: new Uint8Array(), before: 0 }];
    const answers = { VerifyToken: () => ({ staleMs }), WatchRevocations: () => ({ entries }) };
    const jwks = JSON.stringify(vectors.jwks);
    await using server = await start({ ...answers, GetKeys: () => ({ jwks }) });
    assert.deepEqual(await server.check(), expected);
  }
  // A service that signs with HS256 decides by itself.
  await using server = await start({ VerifyToken: () => ({ staleMs: 9_000 }) });
  assert.deepEqual(await server.check(), { ...verified, staleMs: 9_000 });
});

test("an error of VerifyToken is a verdict only if it says something about the token", async () => {
  for (const [code, expected] of [
    [0x0303, "invalid"],
    [0x0304, "expired"],
    [0x0305, "revoked"],
    [0x03fe, "invalid"],
    [0x030a, "unavailable"],
    [0x0102, "unavailable"],
    [0x0501, "unavailable"],
    [0x0602, "unavailable"],
    [0x7f01, "unavailable"],
  ] as const) {
    await using server = await start({ VerifyToken: () => ({ code, message: "" }) });
    assert.equal(await server.check(), expected, code.toString(16));
  }
});

test("what the verifier knows itself counts more than an answer of VerifyToken", async () => {
  const none = new Uint8Array();
  const kid = Buffer.from(vectors.jwks.keys[0].kid);
  for (const [entry, expected] of [
    [{ kind: 1, id: uuidBytes(sid), before: 0 }, "revoked"],
    [{ kind: 2, id: uuidBytes(sub), before: 0 }, "revoked"],
    [{ kind: 3, id: none, before: vectors.now - 100 }, "revoked"],
    [{ kind: 3, id: none, before: vectors.now - 101 }, verified],
    [{ kind: 4, id: kid, before: 0 }, "invalid"],
  ] as const) {
    // The last entry is not understood, so that the service is asked about every token.
    const entries = [entry, { kind: 99, id: none, before: 0 }];
    await using server = await start({ WatchRevocations: () => ({ entries }) });
    assert.deepEqual(await server.check(), expected, `kind ${entry.kind}`);
  }
});

test("the service decides about a genuine token of another issuer or audience", async () => {
  const jwks = JSON.stringify(vectors.jwks);
  for (const options of [{ issuer: "other" }, { audience: "other" }]) {
    await using good = await start({ GetKeys: () => ({ jwks }) }, options);
    assert.deepEqual(await good.check(), verified);
    assert.deepEqual(await good.check(), verified);
    assert.equal(good.fake.count("VerifyToken"), 2);
    const refusal = () => ({ code: 0x0303, message: "" });
    await using bad = await start({ GetKeys: () => ({ jwks }), VerifyToken: refusal }, options);
    assert.equal(await bad.check(), "invalid");
  }
});

test("the keys are read again after a reconnect, and the cursor is kept", async () => {
  const cursor = Uint8Array.of(1, 2, 3);
  await using server = await start({ WatchRevocations: () => ({ cursor }) });
  await until("a second watch", () => server.fake.count("WatchRevocations") >= 2);
  assert.equal(server.fake.count("GetKeys"), 1);
  server.fake.drop();
  await until("keys", () => server.fake.count("GetKeys") === 2);
  const last = server.fake.received.filter(({ name }) => name === "WatchRevocations").at(-1);
  assert.deepEqual(last?.fields["cursor"], cursor);
});

test("the options of a check apply to the question", async () => {
  await using server = await start({});
  const options = { clientAddress: "203.0.113.7", deadlineMs: 500 };
  assert.deepEqual(await server.verifier.verify(token, options), verified);
  const { fields } = server.fake.received.find(({ name }) => name === "VerifyToken") ?? {};
  assert.equal(fields?.["clientAddress"], "203.0.113.7");
  assert.ok(Number(fields?.["deadlineMs"]) <= 500);
});

test("a limited number of questions is asked at the same time, for a limited time", async () => {
  const fake = new Fake(({ name, reply }) => {
    if (name === "GetKeys") reply("Keys", { jwks: '{"keys":[]}', accessLife: 9, refreshAfter: 9 });
  });
  await using verifier = new Verifier(await fake.listen(), { maxAsking: 3, askTimeoutMs: 500 });
  const start = performance.now();
  const checks = [...Array(10)].map(() => verifier.verify(token).catch((error) => error.reason));
  await until("questions", () => fake.count("VerifyToken") >= 3);
  await sleep(50);
  assert.equal(fake.count("VerifyToken"), 3);
  assert.deepEqual(await Promise.all(checks), Array(10).fill("unavailable"));
  assert.ok(performance.now() - start < 4_000);
  assert.deepEqual([verifier.status().asked, verifier.status().unavailable], [10, 10]);
  fake.close();
});

test("an unknown key makes GetKeys due at once, but not twice", async () => {
  await using server = await start({});
  for (let index = 0; index < 5; index += 1) assert.deepEqual(await server.check(), verified);
  await until("keys", () => server.fake.count("GetKeys") === 2);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(server.fake.count("GetKeys"), 2);
});

test("a token of a longer lifetime than that of the keys is checked by the service", async () => {
  const jwks = JSON.stringify(vectors.jwks);
  await using server = await start({ GetKeys: () => ({ jwks, accessLife: 600 }) });
  assert.deepEqual(await server.check(), verified);
  assert.equal(server.fake.count("VerifyToken"), 1);
  await until("keys", () => server.fake.count("GetKeys") === 2);
});
