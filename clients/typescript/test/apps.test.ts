// HTTP services of each framework, protected by a verifier of a live server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import express from "express";
// @ts-expect-error There are types of one version only.
import express4 from "express4";
import fastify from "fastify";

import { UserServiceClient, Verifier } from "user-service-client";
import { authenticate, errorHandler } from "user-service-client/express";
import { userService } from "user-service-client/fastify";
import { check, urlOf } from "./support/app.js";
import { register, Testbed } from "./support/testbed.js";
import type { Node } from "./support/testbed.js";

const testbed = new Testbed();
let node: Node;
let client: UserServiceClient;
let verifier: Verifier;
let session: Awaited<ReturnType<typeof register>>;

before(async () => {
  node = await testbed.start({ TOKEN_SIGNING: "ES256", HASH_MEMORY: "8" });
  client = new UserServiceClient(node.address);
  verifier = new Verifier(client);
  session = await register(testbed, client, "ada", node);
  assert.ok(await verifier.waitUntilComplete());
});

after(async () => {
  await verifier?.close();
  await client?.close();
  await testbed.close();
});

const wrongLogin = () => client.login({ login: "nobody", password: "wrong" });

for (const [version, create] of [
  ["5", express],
  ["4", express4 as typeof express],
] as const) {
  test(`express ${version}`, async () => {
    const app = create();
    const content = (req: express.Request, res: express.Response) =>
      void res.json({ userId: req.auth?.userId });
    app.get("/open", (_req, res) => void res.json({}));
    app.get("/me", authenticate(verifier), content);
    if (version === "5") app.get("/login", async (_req, res) => void res.json(await wrongLogin()));
    else app.get("/login", (_req, res, next) => void wrongLogin().then(res.json, next));
    app.use(errorHandler());
    const server = app.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    await check(urlOf(server), client);
    server.close();
  });
}

test("fastify", async () => {
  const app = fastify();
  await app.register(userService, { verifier });
  app.get("/open", async () => ({}));
  app.get("/me", { preHandler: app.authenticate }, async (request) => ({
    userId: request.auth?.userId,
  }));
  app.get("/login", wrongLogin);
  await check(await app.listen({ port: 0, host: "127.0.0.1" }), client);
  await app.close();
});

test("503 if the token cannot be checked", async () => {
  const unreachable = new Verifier(`127.0.0.1:${await testbed.freePort()}`);
  const app = express();
  app.get("/me", authenticate(unreachable), (_req, res) => void res.json({}));
  const server = app.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const headers = { authorization: `Bearer ${session.accessToken.reveal()}` };
  const response = await fetch(`${urlOf(server)}/me`, { headers });
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "1");
  server.close();
  await unreachable.close();
});
