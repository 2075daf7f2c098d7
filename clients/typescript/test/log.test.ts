// What the client and the verifier write to the log.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mock, test } from "node:test";

import { UserServiceClient, Verifier } from "user-service-client";
import { logTo, Outage } from "../dist/log.js";
import { Fake } from "./support/fake.js";
import { sleep, until } from "./support/testbed.js";

const url = new URL("../../../user-proto/vectors/tokens.json", import.meta.url);
const vectors = JSON.parse(readFileSync(url, "utf8"));
const token: string = vectors.vectors[0].token;
const VERIFIED = {
  userId: "8f1f7b3e-8f43-4a42-9d8e-0c2a6f6f5a11",
  sessionId: "0d4b6c1e-3f0a-4d5e-8c7b-9a1b2c3d4e5f",
  issuedAt: 1,
  expiresAt: 2,
};

test("an outage is one line when it begins, and one when it ends", async () => {
  const lines: string[] = [];
  const fake = new Fake(({ name, reply }) => {
    if (name === "VerifyToken") reply("TokenVerified", VERIFIED);
    else reply("ErrorReply", { code: 0x030a, message: "not\nfor you" });
  });
  const address = await fake.listen();
  fake.close();
  const port = Number(address.split(":")[1]);
  await using verifier = new Verifier(address, { log: (line) => lines.push(line) });
  for (let index = 0; index < 20; index += 1) {
    const error = await verifier.verify(token).catch((error) => error);
    assert.equal(error.reason, "unavailable");
  }
  assert.equal(lines.length, 2, lines.join("\n"));
  assert.match(lines[0]!, /^user-service-client: the service does not answer at 127.*ECONNREFUSED/);
  assert.match(lines[1]!, /^user-service-client: access tokens cannot be checked: cannot connect/);
  lines.length = 0;
  await fake.listen(port);
  await until("an answer", async () => (await verifier.verify(token).catch(() => 0)) !== 0);
  await until("lines", () => lines.length >= 3);
  await sleep(200);
  lines.sort();
  assert.equal(lines.length, 3, lines.join("\n"));
  assert.match(lines[0]!, /access tokens are checked again after [\d.]+ s \(failures: \d+\)$/);
  assert.match(lines[1]!, /the service answers at 127.* again after/);
  // Its message cannot begin a line of its own.
  assert.match(lines[2]!, /does not return its keys, so it is asked about .*: .*not for you/);
  fake.close();
});

test("a token of another issuer is logged once", async () => {
  const lines: string[] = [];
  using fake = new Fake(({ name, reply }) => {
    const nowMs = vectors.now * 1000;
    const jwks = JSON.stringify(vectors.jwks);
    const none = { cursor: new Uint8Array(1), staleMs: 0, more: 0, entries: [], nowMs };
    if (name === "VerifyToken") reply("TokenVerified", VERIFIED);
    else if (name === "GetKeys") reply("Keys", { jwks, accessLife: 900, refreshAfter: 300, nowMs });
    else setTimeout(() => reply("Revocations", none), 5);
  });
  await using client = new UserServiceClient(await fake.listen());
  const log = (line: string) => lines.push(line);
  await using verifier = new Verifier(client, { audience: "other", log });
  assert.ok(await verifier.waitUntilComplete());
  for (let index = 0; index < 3; index += 1) await verifier.verify(token);
  assert.equal(lines.length, 1, lines.join("\n"));
  assert.match(lines[0]!, /another issuer or audience than the options `issuer` and `audience`/);
});

test("outages that follow each other quickly are not all logged", () => {
  const lines: string[] = [];
  const clock = mock.method(performance, "now", () => now);
  let now = 0;
  const outage = new Outage((line) => lines.push(line));
  outage.works("up");
  for (let index = 0; index < 100; index += 1) {
    outage.fails("down");
    outage.fails("down");
    now += 50;
    outage.works("up");
    now += 50;
  }
  assert.deepEqual(lines, ["down", "up after 0.1 s (failures: 2)"]);
  // One that lasts is logged.
  outage.fails("down");
  now += 1;
  outage.fails("down");
  assert.equal(lines.length, 3);
  clock.mock.restore();
});

test("a log that throws, or none, does no harm", async () => {
  const lines: string[] = [];
  logTo(undefined);
  const warn = mock.method(console, "warn", (line: string) => lines.push(line));
  logTo(undefined)("x".repeat(1_000));
  logTo(false)("hidden");
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.length, 500);
  warn.mock.restore();
  const fail = () => {
    throw new Error("full disk");
  };
  logTo(fail)("text");
  logTo(async () => fail())("text");
  const options = { waitForServer: false, log: fail, onConnectionError: async () => fail() };
  await using client = new UserServiceClient({
    ...options,
    addresses: "127.0.0.1:1",
    traceparent: fail,
  });
  await assert.rejects(client.ping(), { kind: "connect" });
  // A rejection that nobody handles would end the process.
  await sleep(20);
});
