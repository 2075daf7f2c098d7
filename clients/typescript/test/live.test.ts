// The client with a live server.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { createServer } from "node:tls";

import { ErrorCode, Secret, ServiceError, toHttp, UserServiceClient } from "user-service-client";
import { PASSWORD, register, Testbed } from "./support/testbed.js";
import type { Node } from "./support/testbed.js";

const testbed = new Testbed();
let node: Node;
let client: UserServiceClient;

before(async () => {
  node = await testbed.start({ TOKEN_SIGNING: "EdDSA", HASH_MEMORY: "8" });
  client = new UserServiceClient(node.address);
});

after(async () => {
  await client?.close();
  await testbed.close();
});

const refusal =
  (code: number, outcome = "refused") =>
  (error: unknown) => {
    assert.ok(error instanceof ServiceError, String(error));
    assert.equal(error.code, code);
    assert.equal(error.outcome, outcome);
    return true;
  };

test("every request has a method, from registration to deletion", async () => {
  const pong = await client.ping();
  assert.equal(pong.maxInFlight, 256);

  const registered = await client.register({
    username: "ada",
    email: "ada@example.org",
    password: PASSWORD,
  });
  assert.equal(registered.codeExpiresIn, 900);
  await assert.rejects(
    client.resendCode({ verificationId: registered.verificationId }),
    (error) => refusal(ErrorCode.RATE_LIMITED, "not_done")(error) && toHttp(error).status === 429,
  );
  const code = await testbed.code("ada@example.org", node);
  const first = await client.verifyEmail({ verificationId: registered.verificationId, code });
  assert.ok(first.accessToken instanceof Secret);

  const login = { login: "ada", password: PASSWORD, device: "test" };
  const second = await client.login(login);
  assert.equal(second.userId, first.userId);
  const { accessToken } = second;
  const user = await client.getUser({ accessToken });
  assert.equal(user.username, "ada");
  assert.ok(Math.abs(user.createdAt - Date.now() / 1000) < 60);
  const verified = await client.verifyToken({ accessToken });
  assert.equal(verified.sessionId, second.sessionId);

  const { sessions } = await client.listSessions({ accessToken });
  assert.equal(sessions.length, 2);
  assert.equal(sessions.find(({ current }) => current)?.device, "test");
  const ended = await client.endSession({ accessToken, sessionId: first.sessionId });
  assert.equal(ended.sessionsEnded, 1);
  await assert.rejects(
    client.verifyToken({ accessToken: first.accessToken }),
    refusal(ErrorCode.SESSION_REVOKED),
  );

  const refreshed = await client.refreshToken({ refreshToken: second.refreshToken });
  assert.notEqual(refreshed.refreshToken.reveal(), second.refreshToken.reveal());
  const renamed = await client.updateUser({ accessToken, username: "ada.lovelace" });
  assert.equal(renamed.username, "ada.lovelace");
  const moved = await client.updateUser({
    accessToken,
    email: "ada@example.com",
    currentPassword: PASSWORD,
  });
  assert.ok(moved.verificationId);
  const confirmed = await client.confirmEmail({
    accessToken,
    verificationId: moved.verificationId,
    code: await testbed.code("ada@example.com", node),
  });
  assert.equal(confirmed.email, "ada@example.com");

  const reset = await client.requestPasswordReset({ email: "ada@example.com" });
  assert.ok(reset.verificationId);
  const keys = await client.getKeys();
  assert.equal(JSON.parse(keys.jwks).keys.length >= 1, true);
  const revocations = await client.watchRevocations({ cursor: new Uint8Array(), waitMs: 0 });
  assert.ok(revocations.entries.length >= 1);

  const out = await client.logout({ token: refreshed.accessToken });
  assert.equal(out.sessionsEnded, 1);
  const third = await client.login({ login: "ada@example.com", password: PASSWORD });
  const deleted = await client.deleteUser({
    accessToken: third.accessToken,
    currentPassword: PASSWORD,
  });
  assert.equal(deleted.userId, first.userId);
});

test("an error of the service has its code, its outcome and a status of HTTP", async () => {
  const attempt = client.login({ login: "nobody", password: new Secret("wrong") });
  await assert.rejects(attempt, (error: unknown) => {
    assert.ok(error instanceof ServiceError);
    assert.equal(error.codeName, "INVALID_CREDENTIALS");
    assert.ok(!JSON.stringify(error).includes("wrong") && !String(error.stack).includes("wrong"));
    assert.deepEqual(toHttp(error), {
      status: 401,
      headers: {},
      body: {
        error: "INVALID_CREDENTIALS",
        message: "No active account has this login and password.",
      },
    });
    return true;
  });
});

test("a repeated request with the same idempotency key gets the same reply", async () => {
  const request = { username: "grace", email: "grace@example.org", password: PASSWORD };
  const idempotencyKey = new Uint8Array(16).fill(7);
  const first = await client.register(request, { idempotencyKey });
  const second = await client.register(request, { idempotencyKey });
  assert.equal(first.verificationId, second.verificationId);
  await assert.rejects(
    client.register({ ...request, username: "grace2" }, { idempotencyKey }),
    refusal(ErrorCode.IDEMPOTENCY_CONFLICT),
  );
});

test("many requests share one connection, and those that hash wait for each other", async () => {
  const { accessToken } = await register(testbed, client, "linus", node);
  const verified = await Promise.all(
    Array.from({ length: 2_000 }, () => client.verifyToken({ accessToken })),
  );
  assert.equal(verified.length, 2_000);
  // More than the server hashes at the same time, for as many end users.
  const registered = await Promise.all(
    Array.from({ length: 40 }, (_, i) => {
      const user = { username: `user${i}`, email: `user${i}@example.org`, password: PASSWORD };
      return client.register(user, { clientAddress: `203.0.113.${i}`, traceparent: TRACE });
    }),
  );
  assert.equal(new Set(registered.map(({ verificationId }) => verificationId)).size, 40);
  assert.deepEqual(
    client.status().map(({ connected }) => connected),
    [true],
  );
});

test("TLS with a client certificate, and its errors", async () => {
  const tls = await testbed.tls();
  const secure = await testbed.start({}, tls, true);
  const read = (path: string) => readFileSync(path);
  const ca = read(tls.ca);
  const identity = { ca, cert: read(tls.client_certificate), key: read(tls.client_key) };
  const address = `localhost:${secure.port}`;
  const open = (options: object) =>
    new UserServiceClient({ addresses: address, waitForServer: false, ...options });

  await using good = open({ tls: () => identity });
  assert.ok(await good.ping());
  await using named = open({
    addresses: secure.address,
    tls: { ...identity, serverName: "localhost" },
  });
  assert.ok(await named.ping());

  const cases: [string, object, RegExp][] = [
    ["certificate", { tls: { ca } }, /the server requires a client certificate/],
    ["connect", { tls: { ...identity, ca: undefined } }, /not issued by a trusted authority/],
    ["connect", { tls: { ...identity, serverName: "example.org" } }, /is for another name/],
    ["connect", { addresses: node.address, tls: identity }, /does not use TLS/],
    ["lost", { deadlineMs: 500 }, /lost/],
  ];
  for (const [kind, options, message] of cases) {
    await using client = open(options);
    await assert.rejects(client.ping(), (error: Error & { kind?: string; outcome?: string }) => {
      assert.match(error.message, message);
      assert.equal(error.kind, kind, error.message);
      if (kind !== "lost") assert.equal(error.outcome, "not_done");
      return true;
    });
  }
});

test("TLS before 1.3 is refused, and the environment does not turn the checks off", async () => {
  const tls = await testbed.tls();
  const [key, cert] = [readFileSync(tls.server_key), readFileSync(tls.server_certificate)];
  const old = createServer({ key, cert, maxVersion: "TLSv1.2", ALPNProtocols: ["user/1"] });
  old.on("tlsClientError", () => {});
  old.listen(0, "127.0.0.1");
  await once(old, "listening");
  const { port } = old.address() as AddressInfo;
  const open = (addresses: string, ca: Buffer | undefined) =>
    new UserServiceClient({ addresses, tls: { ca }, waitForServer: false, log: false });
  await using client = open(`localhost:${port}`, readFileSync(tls.ca));
  await assert.rejects(client.ping(), /the server does not support TLS 1\.3/);
  old.close();

  const secure = await testbed.start({}, tls);
  await using good = open(`localhost:${secure.port}`, readFileSync(tls.ca));
  assert.ok(await good.ping());
  process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
  try {
    await using untrusting = open(`localhost:${secure.port}`, undefined);
    await assert.rejects(untrusting.ping(), /not issued by a trusted authority/);
  } finally {
    delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
  }
});

const TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
