// An application of NestJS, and a client proxy, with a live server. Runs with NestJS 11 and 12.

import "reflect-metadata";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Controller, Get, Inject, Module, UseFilters, UseGuards } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { lastValueFrom } from "rxjs";

import { ErrorCode, ServiceError, UserServiceClient } from "user-service-client";
import type { User, Verified } from "user-service-client";
import { Auth, AuthGuard, Public, UserId } from "user-service-client/nestjs";
import { UserServiceExceptionFilter, UserServiceModule } from "user-service-client/nestjs";
import { UserServiceProxy, UserServiceRecord } from "user-service-client/nestjs/microservices";
import { check, urlOf } from "./support/app.js";
import { register, Testbed, until } from "./support/testbed.js";
import type { Node } from "./support/testbed.js";

const testbed = new Testbed();
let node: Node;
let client: UserServiceClient;
let session: Awaited<ReturnType<typeof register>>;

before(async () => {
  node = await testbed.start({ TOKEN_SIGNING: "EdDSA", HASH_MEMORY: "8" });
  client = new UserServiceClient(node.address);
  session = await register(testbed, client, "ada", node);
});

after(async () => {
  await client?.close();
  await testbed.close();
});

@Controller()
@UseGuards(AuthGuard)
@UseFilters(UserServiceExceptionFilter)
class AppController {
  constructor(@Inject(UserServiceClient) private readonly users: UserServiceClient) {}

  @Public()
  @Get("open")
  open() {
    return {};
  }

  @Get("me")
  me(@UserId() userId: string) {
    return { userId };
  }

  @Get("session")
  session(@Auth() auth: Verified) {
    return auth;
  }

  @Public()
  @Get("login")
  login() {
    return this.users.login({ login: "nobody", password: "wrong" });
  }
}

test("module, guard, filter and parameter", async () => {
  @Module({
    imports: [
      UserServiceModule.forRootAsync({ useFactory: async () => ({ addresses: node.address }) }),
    ],
    controllers: [AppController],
  })
  class AppModule {}
  const app = await NestFactory.create(AppModule, { logger: false });
  await app.listen(0, "127.0.0.1");
  await check(urlOf(app.getHttpServer()), client);
  const headers = { authorization: `Bearer ${session.accessToken.reveal()}` };
  const response = await fetch(`${urlOf(app.getHttpServer())}/session`, { headers });
  const auth = (await response.json()) as Verified;
  assert.equal(auth.sessionId, session.sessionId);
  const users = app.get(UserServiceClient);
  await app.close();
  await assert.rejects(users.ping(), /closed/);
});

test("an outage is written to the log of NestJS", async () => {
  @Module({ imports: [UserServiceModule.forRoot({ addresses: "127.0.0.1:1" })] })
  class AppModule {}
  const lines: string[] = [];
  const none = () => {};
  const logger = { log: none, error: none, warn: (line: string) => lines.push(line) };
  const app = await NestFactory.createApplicationContext(AppModule, { logger });
  await until("a line", () => lines.length > 0);
  assert.match(lines[0]!, /^user-service-client: the service does not answer at 127\.0\.0\.1:1: /);
  await app.close();
});

test("client proxy", async () => {
  const proxy = new UserServiceProxy({ addresses: node.address });
  await proxy.connect();
  const { accessToken } = session;
  const user = await lastValueFrom(proxy.send<User>("GetUser", { accessToken }));
  assert.equal(user.username, "ada");
  await assert.rejects(
    lastValueFrom(proxy.send("Login", { login: "nobody", password: "wrong" })),
    (error) => error instanceof ServiceError && error.code === ErrorCode.INVALID_CREDENTIALS,
  );
  await assert.rejects(lastValueFrom(proxy.send("Nothing", {})), /unknown request/);
  // The options of a call are not part of the data, which may come from an end user.
  const send = (data: object) => lastValueFrom(proxy.send<User>("GetUser", data));
  assert.equal((await send({ accessToken, options: { deadlineMs: -1 } })).username, "ada");
  const expired = new UserServiceRecord({ accessToken }, { deadlineMs: -1 });
  await assert.rejects(send(expired), { kind: "deadline" });
  await proxy.close();
});
