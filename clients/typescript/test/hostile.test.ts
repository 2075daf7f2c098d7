// Servers that answer with anything. Every call ends, and the process goes on.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";

import { UserServiceClient, UserServiceError, Verifier, VerifyError } from "user-service-client";
import { FrameReader } from "../dist/codec/index.js";
import type { Frame } from "../dist/codec/index.js";
import { REPLIES } from "../dist/generated/messages.js";
import { Fake, reply } from "./support/fake.js";
import { sleep } from "./support/testbed.js";

/** Returns a generator of numbers below `limit` that is the same on every run (mulberry32). */
function random(seed: number): (limit: number) => number {
  return (limit) => {
    seed = (seed + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

type Random = (limit: number) => number;

const bytes = (next: Random, length: number) =>
  Buffer.from(Array.from({ length }, () => next(256)));

/** Returns a frame with any body. */
function frame(type: number, id: number, body: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUInt32BE(5 + body.length, 0);
  head.writeUInt8(type, 4);
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, body]);
}

/** Answers a request with something. */
function answer(next: Random, socket: Socket, request: Frame): void {
  const { id } = request;
  const type = request.type | 0x80;
  const error = (errorId: number) =>
    frame(0x80, errorId, Buffer.concat([bytes(next, 2), Buffer.from([0, 0])]));
  const kinds = [
    () => bytes(next, next(64)),
    () => frame(type, id, bytes(next, next(200))),
    () => frame([...REPLIES.keys()][next(REPLIES.size)]!, id, bytes(next, next(200))),
    () => frame(next(256), next(5), bytes(next, next(20))),
    () => error(id),
    () => error(0),
    () => frame(0x80, id, Buffer.from([0x05, 0x02, 0, 0, 0x01, 0, 4, 0xff, 0xff, 0xff, 0xff])),
    () => frame(0xff, id, Buffer.from([0x01, 0, 4, 0, 0, 0, 0, 0x03, 0, 4, 0, 0, 0, 0])),
    () => Buffer.from([0, 0, 0, next(5)]),
    () => Buffer.from([next(256), 0xff, 0xff, 0xff]),
    () => Buffer.alloc(0),
  ];
  socket.write(kinds[next(kinds.length)]!());
  if (next(4) === 0) socket.destroy();
}

test("replies of any bytes", async () => {
  const unhandled: unknown[] = [];
  const listener = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", listener);
  const next = random(7);
  const server = createServer((socket) => {
    socket.on("error", () => {});
    const reader = new FrameReader();
    socket.on("data", (chunk: Buffer) => {
      for (const request of reader.push(chunk)) answer(next, socket, request);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const addresses = [address, address];
  const options = { addresses, deadlineMs: 150, slowAfterMs: 20, log: false as const };
  const ends: Record<string, number> = {};
  for (let round = 0; round < 20; round += 1) {
    await using client = new UserServiceClient(options);
    await using verifier = new Verifier(options, { askTimeoutMs: 150 });
    const calls = Array.from({ length: 10 }, () => [
      client.verifyToken({ accessToken: "t" }),
      client.logout({ token: "t" }, { idempotencyKey: false }),
      client.getKeys(),
      client.ping(),
    ]).flat<Promise<unknown>[][]>();
    const checks = [verifier.verify("e30.e30.e30"), verifier.waitUntilComplete(50)];
    for (const end of await Promise.allSettled([...calls, ...checks])) {
      const reason: unknown = end.status === "rejected" ? end.reason : undefined;
      const isKnown = reason instanceof UserServiceError || reason instanceof VerifyError;
      assert.ok(reason === undefined || isKnown, String(reason));
      const kind = reason instanceof UserServiceError ? reason.kind : end.status;
      ends[kind] = (ends[kind] ?? 0) + 1;
    }
  }
  server.close();
  process.off("unhandledRejection", listener);
  assert.deepEqual(unhandled, []);
  for (const kind of ["refused", "bad_reply", "lost"]) assert.ok(ends[kind], JSON.stringify(ends));
});

test("keys and revocations of any content", async () => {
  const next = random(11);
  const texts = ["", "{}", "[]", "null", "[[[", '{"keys":[null,1,"x",[],{}]}', '{"keys":{"a":1}}'];
  const deep = `{"keys":${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
  const jwk = '{"kid":"__proto__","kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","x":"AA"}';
  using fake = new Fake(({ name, id, socket, reply: respond }) => {
    if (name === "GetKeys") {
      const all = [...texts, deep, `{"keys":[${jwk}],"__proto__":{"polluted":true}}`];
      const jwks = all[next(all.length)]!;
      respond("Keys", { jwks, accessLife: 0xffff_ffff, refreshAfter: next(2), nowMs: 2 ** 53 - 1 });
    } else if (name === "WatchRevocations") {
      const entries = Array.from({ length: next(50) }, () => ({
        kind: next(6),
        id: bytes(next, [0, 15, 16, 256, 300][next(5)]!),
        before: 2 ** 53 - 1,
      }));
      const staleMs = [0, 0xffff_ffff][next(2)];
      const cursor = bytes(next, next(2_000));
      const answer = { cursor, staleMs, more: next(2), nowMs: 0, entries };
      setTimeout(() => socket.write(reply(id, "Revocations", answer)), 1);
    }
  });
  const address = await fake.listen();
  const ends = Array.from({ length: 8 }, async () => {
    await using verifier = new Verifier({ addresses: address, log: false }, { askTimeoutMs: 50 });
    await sleep(200);
    const header = Buffer.from('{"typ":"at+jwt","alg":"EdDSA","kid":"__proto__"}');
    const token = `${header.toString("base64url")}.e30.AA`;
    const verdict = await verifier.verify(token).catch((error: unknown) => error);
    assert.ok(verdict instanceof VerifyError, String(verdict));
    const { revocations } = verifier.status();
    assert.ok(revocations <= 1_000_000);
  });
  await Promise.all(ends);
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

test("a client and a verifier that are closed let the process end", async () => {
  // It accepts connections and requests, and answers nothing.
  const server = createServer((socket) => void socket.on("error", () => {}).resume());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const library = new URL("../dist/index.js", import.meta.url).href;
  const program = `
    import { UserServiceClient, Verifier } from ${JSON.stringify(library)};
    const addresses = ["${address}", "127.0.0.1:1"];
    const client = new UserServiceClient({ addresses, log: false });
    const verifier = new Verifier(client);
    await client.ping({ deadlineMs: 300 }).catch(() => {});
    await verifier.verify("e30.e30.e30", { deadlineMs: 300 }).catch(() => {});
    await verifier.close();
    await client.close();
    console.log("closed");`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program]);
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const start = performance.now();
  const [code] = await once(child, "exit");
  assert.deepEqual([code, output], [0, "closed\n"]);
  assert.ok(performance.now() - start < 10_000);
  server.close();
  server.unref();
});
