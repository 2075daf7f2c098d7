// Mistakes in options and arguments are errors that say what was expected.

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { Reflector } from "@nestjs/core";
import fastify from "fastify";

import { UserServiceClient, UserServiceError, Verifier } from "user-service-client";
import { authenticate, errorHandler } from "user-service-client/express";
import { userService } from "user-service-client/fastify";
import { AuthGuard, UserServiceExceptionFilter } from "user-service-client/nestjs";
import { UserServiceModule } from "user-service-client/nestjs";
import { sleep } from "./support/testbed.js";

const ADDRESS = "127.0.0.1:1";
const client = (options: object) => () =>
  new UserServiceClient({ addresses: ADDRESS, log: false, ...options });
const verifier = (options: object) => () => new Verifier({ addresses: ADDRESS }, options);

/** Checks that each function throws a TypeError with this message. */
function refuses(cases: [() => unknown, RegExp][]): void {
  for (const [mistake, message] of cases) {
    assert.throws(mistake, (error: Error) => {
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
}

test("options of a client and of a verifier", async () => {
  refuses([
    [client({ deadlineMS: 5 }), /unknown option `deadlineMS`; did you mean `deadlineMs`\?/],
    [client({ deadline_ms: 5 }), /did you mean `deadlineMs`\?/],
    [client({ alowPlaintext: true }), /did you mean `allowPlaintext`\?/],
    [client({ timeout: 5 }), /unknown option `timeout`; the options are addresses, tls, /],
    [() => new UserServiceClient({ address: ADDRESS } as never), /did you mean `addresses`\?/],
    [client({ deadlineMs: "5000" }), /`deadlineMs`: expected milliseconds.*, but got a text/],
    [client({ deadlineMs: NaN }), /but got NaN/],
    [client({ connectTimeoutMs: 2 ** 31 }), /from 1 to 2147483647, but got 2147483648/],
    [client({ maxCalls: 0.5 }), /expected an integer from 1, but got 0\.5/],
    [client({ allowPlaintext: "false" }), /expected true or false, but got a text/],
    [client({ log: "debug" }), /expected a function, or false for no log/],
    [client({ tls: "yes" }), /expected true, an object, or a function/],
    [client({ tls: { cafile: "ca.pem" } }), /`tls`: unknown option `cafile`; the options are ca,/],
    [client({ tls: { ca: "ca.pem" } }), /`ca`: expected the content of a PEM file/],
    [client({ tls: { ca: "" } }), /`ca`: expected the content of a PEM file/],
    [client({ tls: { ca: [] } }), /`ca`: expected the content of a PEM file/],
    [client({ tls: { cert: "-----BEGIN CERTIFICATE" } }), /`cert` and `key` need each other/],
    [verifier({ ageLimitMs: NaN }), /`ageLimitMs`: expected milliseconds from 0/],
    [verifier({ ageLimitMs: Infinity }), /but got Infinity/],
    [verifier({ ageLimit: 5 }), /unknown option `ageLimit`; did you mean `ageLimitMs`\?/],
    [verifier({ audience: "" }), /`audience`: expected a text that is not empty/],
    [verifier({ tls: true }), /`tls` is an option of the client: .* first argument/],
    [
      () => new Verifier({ addresses: ADDRESS, ageLimitMs: 5 } as never),
      /`ageLimitMs` is an option of the verifier: .* second argument/,
    ],
    [() => new Verifier(ADDRESS, 5 as never), /expected an object, but got 5/],
  ]);
  // Missing values are the defaults.
  await client({ tls: undefined, deadlineMs: null })().close();
  await verifier({ ageLimitMs: undefined, log: false })().close();
});

test("addresses", () => {
  const of = (addresses: unknown) => () => new UserServiceClient(addresses as never);
  refuses([
    [of("127.0.0.1:99999"), /invalid address "127\.0\.0\.1:99999": .* port from 1 to 65535/],
    [of("host:0"), /port from 1 to 65535/],
    [of("host:"), /port from 1 to 65535/],
    [of("host:port"), /expected host:port, with a port/],
    [of("https://host:3001"), /without a scheme such as https:/],
    [of("::1"), /an IPv6 address in brackets, such as \[::1\]:3001/],
    [of("[host]:1"), /expected host:port/],
    [of("a b:1"), /expected host:port/],
    [of("user@host:1"), /expected host:port/],
    [of(""), /expected at least one address \(host:port\), but got none/],
    [of([]), /expected at least one address/],
    [of(["a:1", undefined]), /expected addresses .* but got an array of other values/],
    [of(undefined), /expected an object, but got undefined/],
    [of({}), /expected addresses \(host:port, as a text or an array\), but got undefined/],
    [of(3001), /but got 3001/],
  ]);
});

test("arguments of a call and of a check", async () => {
  await using users = client({})();
  await using checks = new Verifier(users);
  const rejects = async (call: Promise<unknown>, message: RegExp) => {
    await assert.rejects(call, (error: Error) => {
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, message);
      return true;
    });
  };
  const wrong = (options: object) => options as never;
  const token = { token: "t" };
  await rejects(users.ping(wrong({ deadline: 5 })), /unknown option `deadline`; did you mean/);
  await rejects(users.ping(wrong({ signal: {} })), /`signal`: expected an AbortSignal/);
  await rejects(users.logout(token, wrong({ idempotencyKey: true })), /16 bytes, or false/);
  await rejects(users.logout(wrong({ ...token, allSesions: true })), /did you mean `allSessions`/);
  await rejects(users.logout(wrong({ ...token, all_sessions: 1 })), /did you mean `allSessions`/);
  await rejects(users.logout("t" as never), /Logout: expected an object with the fields token, /);
  await rejects(users.call("Reset" as never, wrong({})), /unknown request: expected one of /);
  await rejects(users.call("toString" as never, wrong({})), /unknown request/);
  const zeros = { idempotencyKey: Buffer.alloc(16) };
  await rejects(users.logout(token, zeros), /16 bytes that are not all zero/);
  assert.throws(() => users.with(wrong({ clientAdress: "::1" })), /did you mean `clientAddress`/);
  const key = { idempotencyKey: Buffer.alloc(16, 1) };
  assert.throws(() => users.with(key), /an `idempotencyKey` is for one request only/);
  users.with({ idempotencyKey: false });
  await rejects(users.with({}).ping(wrong({ x: 1 })), /unknown option `x`/);
  await rejects(checks.verify(undefined as never), /expected an access token .* got undefined/);
  await rejects(checks.verify(Buffer.from("t") as never), /but got an object \(Buffer\)/);
  // Even if the service is not asked.
  await rejects(checks.verify("t", wrong({ deadline: 5 })), /did you mean `deadlineMs`/);
  const body = JSON.parse('{"constructor":{"name":"text of a stranger"}}');
  await rejects(checks.verify(body), /but got an object$/);
  assert.throws(() => checks.verifyLocal(5 as never), /but got 5/);
  assert.throws(() => checks.waitUntilComplete(1e10), /milliseconds from 0 to/);
});

test("an option of all objects is not an option", async () => {
  const prototype = Object.prototype as Record<string, unknown>;
  prototype["allowPlaintext"] = true;
  prototype["tls"] = () => undefined;
  prototype["allSessions"] = true;
  try {
    const users = new UserServiceClient("192.0.2.1:1");
    assert.equal(users.refusesSecrets, true);
    await users.close();
  } finally {
    for (const name of ["allowPlaintext", "tls", "allSessions"]) delete prototype[name];
  }
  // One of the class of the options is.
  class Options {
    get allowPlaintext() {
      return true;
    }
    addresses = "192.0.2.1:1";
  }
  const users = new UserServiceClient(new Options());
  assert.equal(users.refusesSecrets, false);
  await users.close();
});

test("a function that returns no options of TLS does not turn it off", async () => {
  let received = 0;
  const server = createServer((socket) => socket.on("data", ({ length }) => (received += length)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const addresses = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const tls of [() => undefined, async () => ({}), () => ({ CA: "" })]) {
    await using users = client({ addresses, tls, waitForServer: false })();
    await assert.rejects(users.ping(), /cannot connect: `tls`: /);
  }
  await sleep(20);
  assert.equal(received, 0);
  server.close();
});

test("a second verifier of one client is refused until the first is closed", async () => {
  await using users = client({})();
  const first = new Verifier(users);
  assert.throws(() => new Verifier(users), /this client already has a verifier: share that one/);
  // Who waits for a verifier that is closed does not wait for its time limit.
  const complete = first.waitUntilComplete(60_000);
  await first.close();
  assert.equal(await complete, false);
  assert.equal(await first.waitUntilComplete(60_000), false);
  await new Verifier(users).close();
});

test("functions for Express, Fastify and NestJS", async () => {
  await using users = client({})();
  const expected = /expected a Verifier, but got/;
  refuses([
    [() => authenticate(undefined as never), /authenticate: .* but got undefined/],
    [() => authenticate(users as never), /UserServiceClient\); create one with `new Verifier\(/],
    // As a middleware itself, which would let every request wait forever.
    [() => (authenticate as Function)(new EventEmitter(), {}, () => {}), expected],
    [() => (errorHandler as Function)({}, {}, {}, () => {}), /app\.use\(errorHandler\(\)\)/],
    [() => new AuthGuard({} as never, {} as never), expected],
    [() => UserServiceModule.forRoot(undefined as never), /expected options, but got undefined/],
    [() => UserServiceModule.forRootAsync({} as never), /expected the option `useFactory`/],
    [
      () => UserServiceModule.forRootAsync({ usefactory: () => {} } as never),
      /did you mean `useFactory`/,
    ],
  ]);
  // The guard decides about requests of HTTP only.
  const guard = new AuthGuard({ verify: () => assert.fail() }, new Reflector());
  const message = { getHandler: () => Object, getClass: () => Object, getType: () => "rpc" };
  await assert.rejects(guard.canActivate(message as never), /expected a request of HTTP/);
  const filter = new UserServiceExceptionFilter();
  const error = new UserServiceError("connect", "not_done", "x");
  assert.throws(() => filter.catch(error, { getType: () => "ws" } as never), error);
  const sent = { headersSent: true, header: () => assert.fail() };
  const host = { getType: () => "http", switchToHttp: () => ({ getResponse: () => sent }) };
  filter.catch(error, host as never);
  const app = fastify();
  await assert.rejects(async () => await app.register(userService, {} as never), expected);
});

test("an answer of the application during a check does not end the process", async () => {
  const verify = async () => {
    await sleep(5);
    throw new Error("a mistake");
  };
  const errors: unknown[] = [];
  const middleware = authenticate({ verify });
  const request = { headers: { authorization: "Bearer t" } };
  // An error that is not of this library is for the application, and not a 503.
  middleware(request as never, {} as never, (error) => errors.push(error));
  await sleep(20);
  assert.equal(String(errors[0]), "Error: a mistake");
  // The response of another middleware, such as a time limit.
  const late = authenticate({ verify: () => Promise.reject(new TypeError()) });
  const sent = { headersSent: true, setHeader: () => assert.fail(), end: () => assert.fail() };
  late({ headers: {} } as never, sent as never, (error) => errors.push(error));
  await sleep(20);
  assert.equal(errors.length, 1);
});
