// The behaviour of the client with a server that a test scripts. `user-cli conform` covers the
// protocol; these cases are about what only this library has.

import assert from "node:assert/strict";
import { test } from "node:test";

import { LIMITS, ServiceError, UserServiceClient, UserServiceError } from "user-service-client";
import type { ClientOptions } from "user-service-client";
import { lengthened } from "../dist/client/link.js";
import type { Fields } from "../dist/codec/layout.js";
import { Fake, reply } from "./support/fake.js";
import type { Received } from "./support/fake.js";
import { sleep, until } from "./support/testbed.js";

const VERIFIED = { userId: ID(), sessionId: ID(), issuedAt: 1, expiresAt: 2 };
const ENDED = { sessionsEnded: 1 };

function ID() {
  return "0193a5e0-7b1c-7d2e-8f40-5a6b7c8d9e0f";
}

/** Starts a server and a client of it. */
async function start(handle: (request: Received) => void, options: Partial<ClientOptions> = {}) {
  const fake = new Fake(handle);
  const client = new UserServiceClient({ addresses: await fake.listen(), ...options });
  return {
    fake,
    client,
    async [Symbol.asyncDispose]() {
      fake.close();
      await client.close();
    },
  };
}

/** Returns a client that is connected to all of these. */
async function connected(fakes: Fake[]): Promise<UserServiceClient> {
  const addresses = await Promise.all(fakes.map((fake) => fake.listen()));
  const client = new UserServiceClient({ addresses, slowAfterMs: 100 });
  await until("connections", async () => {
    await client.ping();
    return client.status().every(({ connected, slow }) => connected && !slow);
  });
  return client;
}

const fails = (kind: string, outcome: string) => (error: unknown) => {
  assert.ok(error instanceof UserServiceError, String(error));
  assert.deepEqual([error.kind, error.outcome], [kind, outcome], error.message);
  return true;
};

const error = (code: number, retryAfterMs?: number): Fields => ({
  code,
  message: "m",
  retryAfterMs,
});

test("a signal ends a call, which then tells whether it was sent", async () => {
  await using server = await start(() => {});
  const abort = new AbortController();
  const call = server.client.verifyToken({ accessToken: "t" }, { signal: abort.signal });
  await until("the request", () => server.fake.received.length === 1);
  const reason = new Error("the end user has left");
  abort.abort(reason);
  await assert.rejects(call, (error: Error) => {
    assert.equal(error.name, "AbortError");
    assert.equal(error.cause, reason);
    return fails("aborted", "unknown")(error);
  });
  const aborted = server.client.verifyToken({ accessToken: "t" }, { signal: abort.signal });
  await assert.rejects(aborted, fails("aborted", "not_done"));
  assert.equal(server.fake.received.length, 1);
});

test("one signal may end any number of calls", async () => {
  const warnings: Error[] = [];
  const listener = (warning: Error) => warnings.push(warning);
  process.on("warning", listener);
  await using server = await start(() => {});
  const abort = new AbortController();
  const { signal } = abort;
  const verify = () => server.client.verifyToken({ accessToken: "t" }, { signal });
  const calls = [...Array(50)].map(verify);
  await until("the requests", () => server.fake.received.length === 50);
  // A call that has ended does not listen any more.
  const ended = server.client.verifyToken({ accessToken: "t" }, { signal, deadlineMs: 20 });
  await assert.rejects(ended, fails("deadline", "unknown"));
  abort.abort();
  const ends = calls.map((call) => assert.rejects(call, fails("aborted", "unknown")));
  await Promise.all(ends);
  process.off("warning", listener);
  assert.deepEqual(warnings, []);
});

test("a server cannot demand a wait that a timer does not have", async () => {
  for (let index = 0; index < 20; index += 1) {
    const wait = lengthened(0xffff_ffff);
    assert.ok(wait >= 3_600_000 && wait < 2 ** 31, `${wait}`);
  }
  await using server = await start(({ socket }) => {
    socket.write(reply(0, "ErrorReply", error(0x0502, 0xffff_ffff)));
  });
  const call = server.client.verifyToken({ accessToken: "t" }, { deadlineMs: 100 });
  await assert.rejects(call, fails("connect", "not_done"));
  await sleep(50);
  assert.equal(server.fake.connections, 1);
});

test("the reply to an abandoned call is discarded, and its slot is free again", async () => {
  await using server = await start(({ reply }) => {
    setTimeout(() => reply("TokenVerified", VERIFIED), 60);
  });
  server.fake.pong = { maxInFlight: 1 };
  await server.client.ping();
  const first = server.client.verifyToken({ accessToken: "t" }, { deadlineMs: 20 });
  await assert.rejects(first, fails("deadline", "unknown"));
  assert.deepEqual(await server.client.verifyToken({ accessToken: "t" }), VERIFIED);
  assert.equal(server.fake.connections, 1);
});

test("closing waits for the replies, and refuses later calls", async () => {
  await using server = await start(({ reply }) => {
    setTimeout(() => reply("TokenVerified", VERIFIED), 100);
  });
  const calls = [1, 2, 3].map(() => server.client.verifyToken({ accessToken: "t" }));
  await until("the requests", () => server.fake.received.length === 3);
  const closed = server.client.close();
  await assert.rejects(server.client.ping(), fails("closed", "not_done"));
  assert.deepEqual(await Promise.all(calls), [VERIFIED, VERIFIED, VERIFIED]);
  await closed;
  await until("the end of the connection", () => server.fake.sockets.size === 0);
});

test("the limits of Pong apply to all requests, and to those that hash a password", async () => {
  const waiting: Received[] = [];
  await using server = await start((request) => void waiting.push(request));
  server.fake.pong = { maxInFlight: 5, maxHashing: 2 };
  await server.client.ping();
  const login = () => server.client.login({ login: "a", password: "p" }).catch(() => "refused");
  const verify = () => server.client.verifyToken({ accessToken: "t" });
  const calls = [...Array(4)].map(login);
  const others = [...Array(6)].map(verify);
  let most = 0;
  let hashing = 0;
  await until("as many requests as are allowed", () => waiting.length >= 5);
  for (let index = 0; index < 10; index += 1) {
    await until("a request", () => waiting.length > 0);
    most = Math.max(most, waiting.length);
    hashing = Math.max(hashing, waiting.filter(({ name }) => name === "Login").length);
    const { name, reply } = waiting.shift()!;
    if (name === "Login") reply("ErrorReply", error(0x0301));
    else reply("TokenVerified", VERIFIED);
    await sleep(5);
  }
  assert.deepEqual([most, hashing], [5, 2]);
  assert.deepEqual(await Promise.all(calls), Array(4).fill("refused"));
  assert.equal((await Promise.all(others)).length, 6);
});

test("pings respect the idle timeout of Pong", async () => {
  await using server = await start(({ reply }) => reply("TokenVerified", VERIFIED));
  server.fake.pong = { idleTimeout: 1 };
  await server.client.verifyToken({ accessToken: "t" });
  let pings = 0;
  for (const socket of server.fake.sockets) socket.on("data", () => (pings += 1));
  const start_ = performance.now();
  // The first one asks for the limits.
  await until("pings", () => pings >= 3);
  const took = performance.now() - start_;
  assert.ok(took >= 600 && took < 3_000, `${took}`);
});

test("a ping is sent if a reply is late, even if there was none before", async () => {
  await using server = await start(() => {});
  const call = server.client.verifyToken({ accessToken: "t" }, { deadlineMs: 3_500 });
  await until("the request", () => server.fake.received.length === 1);
  let pings = 0;
  for (const socket of server.fake.sockets) socket.on("data", () => (pings += 1));
  await assert.rejects(call, fails("deadline", "unknown"));
  assert.equal(pings, 1);
});

test("a request that changes something has its own key, which its repetitions share", async () => {
  await using server = await start(({ socket, reply }) => {
    if (server.fake.received.length < 3) socket.destroy();
    else reply("LoggedOut", ENDED);
  });
  assert.deepEqual(await server.client.logout({ token: "t" }), ENDED);
  await server.client.logout({ token: "t" });
  const keys = server.fake.received.map(({ fields }) =>
    Buffer.from(fields["idempotencyKey"] as Uint8Array).toString("hex"),
  );
  assert.equal(keys.length, 4);
  assert.equal(new Set(keys.slice(0, 3)).size, 1);
  assert.notEqual(keys[3], keys[0]);

  await using other = await start(({ socket }) => socket.destroy());
  const call = other.client.logout({ token: "t" }, { idempotencyKey: false });
  await assert.rejects(call, fails("lost", "unknown"));
  assert.equal(other.fake.received.length, 1);
  assert.equal(other.fake.received[0]?.fields["idempotencyKey"], undefined);
});

test("BUSY is repeated up to three times, RATE_LIMITED and unknown classes never", async () => {
  for (const [code, retryAfter, sent] of [
    [0x0502, 20, 3],
    [0x05fe, 20, 3],
    [0x0502, 30_000, 1],
    [0x0501, 20, 1],
    [0x0701, 20, 1],
    [0x0301, undefined, 1],
    [0x0601, undefined, 1],
  ] as const) {
    await using server = await start(({ reply }) => reply("ErrorReply", error(code, retryAfter)));
    const start_ = performance.now();
    await assert.rejects(server.client.verifyToken({ accessToken: "t" }), (error: unknown) => {
      assert.ok(error instanceof ServiceError);
      assert.equal(error.code, code);
      return true;
    });
    assert.equal(server.fake.received.length, sent, code.toString(16));
    assert.ok(performance.now() - start_ < 5_000);
  }
});

test("a call waits for a server until its deadline, or fails at once", async () => {
  const fake = new Fake(({ reply }) => reply("TokenVerified", VERIFIED));
  const address = await fake.listen();
  fake.close();
  await using waiting = new UserServiceClient(address);
  await using hasty = new UserServiceClient({ addresses: address, waitForServer: false });
  const start = performance.now();
  await assert.rejects(hasty.ping(), fails("connect", "not_done"));
  assert.ok(performance.now() - start < 5_000);
  await assert.rejects(waiting.ping({ deadlineMs: 300 }), fails("connect", "not_done"));
  const took = performance.now() - start;
  // A timer of Node counts whole milliseconds, so it can end up to one early.
  assert.ok(took > 298 && took < 5_000, `${took}`);
});

test("common tags: the deadline that remains, the client address, and the trace", async () => {
  await using server = await start(({ reply }) => reply("TokenVerified", VERIFIED), {
    traceparent: () => "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  });
  const users = server.client.with({ clientAddress: "fe80::1%eth0" });
  await users.verifyToken({ accessToken: "t" }, { deadlineMs: 2_000 });
  const fields = server.fake.received[0]?.fields ?? {};
  assert.equal(fields["clientAddress"], "fe80::1");
  assert.match(String(fields["traceparent"]), /^00-4bf9/);
  const deadline = Number(fields["deadlineMs"]);
  assert.ok(deadline > 1_800 && deadline < 2_000, `${deadline}`);
  assert.equal(fields["idempotencyKey"], undefined);
  for (const options of [
    { clientAddress: "not an address" },
    { idempotencyKey: Buffer.alloc(3, 1) },
  ]) {
    const call = users.verifyToken({ accessToken: "t" }, options);
    await assert.rejects(call, fails("invalid_request", "not_done"));
  }
  await assert.rejects(users.ping({ deadlineMs: 0 }), fails("deadline", "not_done"));
});

test("secrets are sent in plaintext to loopback addresses only, unless it is allowed", async () => {
  for (const addresses of ["192.0.2.1:3001", "[2001:db8::1]:1", "[::ffff:192.0.2.1]:1", "a.test"]) {
    const client = new UserServiceClient(addresses);
    const call = client.login({ login: "a", password: "p" });
    await assert.rejects(call, fails("plaintext", "not_done"));
    await client.close();
  }
  for (const addresses of ["localhost", "127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"]) {
    assert.equal(new UserServiceClient(addresses).refusesSecrets, false, addresses);
  }
  const allowed = new UserServiceClient({ addresses: "192.0.2.1:1", allowPlaintext: true });
  assert.equal(allowed.refusesSecrets, false);
  // Keys and revocations decide about tokens.
  await using remote = new UserServiceClient("192.0.2.1:1");
  await assert.rejects(remote.getKeys(), fails("plaintext", "not_done"));
  const message = /192\.0\.2\.1:1 without TLS.*`tls`.*`allowPlaintext: true`/;
  await assert.rejects(remote.getKeys(), message);
});

test("a request that changes nothing is also sent to another node if one is slow", async () => {
  using slow = new Fake();
  using fast = new Fake(({ name, reply }) =>
    name === "VerifyToken" ? reply("TokenVerified", VERIFIED) : reply("LoggedOut", ENDED),
  );
  const addresses = [await slow.listen(), await fast.listen()];
  await using client = new UserServiceClient({ addresses, slowAfterMs: 100 });
  await until("connections", async () => {
    await client.ping();
    return client.status().every(({ connected, slow }) => connected && !slow);
  });
  slow.silent = true;
  const start = performance.now();
  const calls = [...Array(20)].map(() => client.verifyToken({ accessToken: "t" }));
  assert.deepEqual(await Promise.all(calls), Array(20).fill(VERIFIED));
  assert.ok(performance.now() - start < 5_000);
  assert.ok(slow.received.length > 0);
  // The slow node is avoided from now on, also by requests that change something.
  const before = slow.received.length;
  const again = performance.now();
  for (let index = 0; index < 20; index += 1) await client.logout({ token: "t" });
  assert.ok(performance.now() - again < 5_000);
  assert.equal(slow.received.length, before);
  // It recovers when it answers a ping in time.
  slow.silent = false;
  await until("recovery", () => client.status().every(({ slow }) => !slow));
});

test("a refusal ends a call although another node does not answer", async () => {
  for (const code of [0x0303, 0x0501, 0x7f01]) {
    using stuck = new Fake();
    using healthy = new Fake(({ reply }) => reply("ErrorReply", error(code)));
    await using client = await connected([stuck, healthy]);
    const start = performance.now();
    // One of two goes to the stuck node first.
    const isRefusal = (error: unknown) => error instanceof ServiceError && error.code === code;
    const calls = [1, 2].map(() => client.verifyToken({ accessToken: "t" }));
    await Promise.all(calls.map((call) => assert.rejects(call, isRefusal)));
    assert.ok(stuck.received.length > 0);
    assert.ok(performance.now() - start < 5_000, code.toString(16));
  }
});

test("a busy node is asked again although another node does not answer", async () => {
  using stuck = new Fake();
  using healthy = new Fake(({ reply }) => {
    if (healthy.received.length < 3) reply("ErrorReply", error(0x0502, 20));
    else reply("TokenVerified", VERIFIED);
  });
  await using client = await connected([stuck, healthy]);
  const start = performance.now();
  // The nodes take turns, so that one of two calls begins with the stuck one.
  for (let index = 0; index < 2; index += 1) {
    assert.deepEqual(await client.verifyToken({ accessToken: "t" }), VERIFIED);
  }
  assert.ok(stuck.received.length > 0);
  assert.ok(performance.now() - start < 5_000);
});

test("a late node still counts if the other one cannot answer", async () => {
  for (const order of [0, 1]) {
    using late = new Fake(({ reply }) => setTimeout(() => reply("TokenVerified", VERIFIED), 300));
    using broken = new Fake(({ reply }) => reply("ErrorReply", error(0x0602)));
    await using client = await connected(order === 0 ? [late, broken] : [broken, late]);
    assert.deepEqual(await client.verifyToken({ accessToken: "t" }), VERIFIED);
  }
});

test("each request goes to the node with the fewest requests in flight", async () => {
  const answer = ({ reply }: Received) => setTimeout(() => reply("TokenVerified", VERIFIED), 20);
  using first = new Fake(answer);
  using second = new Fake(answer);
  const nodes = [first, second];
  const addresses = await Promise.all(nodes.map((node) => node.listen()));
  await using client = new UserServiceClient({ addresses });
  await until("connections", async () => {
    await client.ping();
    return client.status().every(({ connected, slow }) => connected && !slow);
  });
  await Promise.all([...Array(40)].map(() => client.verifyToken({ accessToken: "t" })));
  for (const node of nodes) {
    assert.ok(Math.abs(node.received.length - 20) <= 2, `${node.received.length}`);
  }
});

test("the number of calls is bounded", async () => {
  await using server = await start(() => {}, { maxCalls: 2 });
  const calls = [1, 2].map(() => server.client.ping());
  await assert.rejects(server.client.ping(), fails("overloaded", "not_done"));
  await Promise.all(calls);
});

test("a reply may arrive in several chunks, and after frames that nobody awaits", async () => {
  await using server = await start(async ({ id, socket }) => {
    const frame = reply(id, "TokenVerified", VERIFIED);
    socket.write(reply(id + 100, "TokenVerified", VERIFIED));
    socket.write(reply(0, "TokenVerified", VERIFIED));
    for (const byte of frame) {
      socket.write(Buffer.of(byte));
      await sleep(1);
    }
  });
  assert.deepEqual(await server.client.verifyToken({ accessToken: "t" }), VERIFIED);
});

test("the longest deadline is that of the protocol", async () => {
  await using server = await start(({ reply }) => reply("TokenVerified", VERIFIED));
  await server.client.verifyToken({ accessToken: "t" }, { deadlineMs: 1e9 });
  const deadline = Number(server.fake.received[0]?.fields["deadlineMs"]);
  assert.ok(deadline <= LIMITS.maxDeadlineMs && deadline > 29_000);
});
