// The verifier with live servers that stop, restart, retire keys and end sessions.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { UserServiceClient, Verifier, VerifyError } from "user-service-client";
import { Missing, PASSWORD, register, sleep, Testbed, until } from "./support/testbed.js";
import type { Node } from "./support/testbed.js";

const testbed = new Testbed();
after(() => testbed.close());

const SETTINGS = { TOKEN_SIGNING: "EdDSA", HASH_MEMORY: "8" };

/** Returns `valid` or the reason for which a token is refused. */
async function verdict(verifier: Verifier, token: string): Promise<string> {
  try {
    await verifier.verify(token);
    return "valid";
  } catch (error) {
    assert.ok(error instanceof VerifyError, String(error));
    return error.reason;
  }
}

const becomes = (verifier: Verifier, token: string, expected: string, limit: number) =>
  until(
    `the verdict ${expected}`,
    async () => (await verdict(verifier, token)) === expected,
    limit,
  );

describe("one node", () => {
  let node: Node;
  let client: UserServiceClient;
  let verifier: Verifier;

  before(async () => {
    node = await testbed.start(SETTINGS);
    client = new UserServiceClient(node.address);
    verifier = new Verifier(node.address, { ageLimitMs: 1_500, askTimeoutMs: 500 });
    await register(testbed, client, "ada", node);
    assert.ok(await verifier.waitUntilComplete());
  });

  after(async () => {
    await verifier?.close();
    await client?.close();
  });

  const login = async () => {
    const { accessToken } = await client.login({ login: "ada", password: PASSWORD });
    return accessToken.reveal();
  };

  test("a token is checked in memory, and the end of its session noticed in a second", async () => {
    const token = await login();
    assert.ok(verifier.ready);
    assert.equal(await verdict(verifier, token), "valid");
    assert.ok(verifier.verifyLocal(token));
    assert.equal(verifier.status().asked, 0);
    await client.logout({ token });
    const start = performance.now();
    await becomes(verifier, token, "revoked", 1_000);
    console.log(`verifier: revoked after ${Math.round(performance.now() - start)} ms`);
    assert.ok((await verifier.verify(token).catch((error) => error)) instanceof VerifyError);
  });

  test("a stopped server: valid until the age limit, then unavailable until it resumes", async () => {
    const token = await login();
    assert.equal(await verdict(verifier, token), "valid");
    await testbed.pause(node);
    try {
      for (;;) {
        // A check in between may be later than this.
        const { ageMs } = verifier.status();
        const found = await verdict(verifier, token);
        if (found === "valid") assert.ok(ageMs! <= 1_500, `${ageMs}`);
        else assert.equal(found, "unavailable");
        if (found !== "valid") break;
        await sleep(20);
      }
      assert.ok(verifier.status().ageMs! > 1_500);
    } finally {
      await testbed.resume(node);
    }
    await becomes(verifier, token, "valid", 5_000);
  });

  test("a restart: never invalid, and in memory again afterwards", async () => {
    const token = await login();
    const restarted = testbed.restart(node).then(() => true);
    const seen = new Set<string>();
    let isDone = false;
    void restarted.then(() => (isDone = true));
    while (!isDone) {
      seen.add(await verdict(verifier, token));
      await sleep(10);
    }
    seen.delete("valid");
    seen.delete("unavailable");
    assert.deepEqual([...seen], []);
    await until("ready", () => verifier.ready);
    assert.equal(await verdict(verifier, token), "valid");
  });

  test("a server that is down: unavailable, never invalid or valid", async () => {
    const token = await login();
    await testbed.stop(node, "KILL");
    await becomes(verifier, token, "unavailable", 3_000);
    assert.equal(verifier.ready, false);
    assert.ok(verifier.status().lastError);
    await testbed.again(node);
    await becomes(verifier, token, "valid", 5_000);
    await until("ready", () => verifier.ready);
  });

  test("a retired key is not used any more", async () => {
    const token = await login();
    assert.equal(await verdict(verifier, token), "valid");
    const { kid } = JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString());
    const { exit_code, stderr } = await testbed.server(node, "keys", "retire", kid, "--force");
    assert.equal(exit_code, 0, stderr);
    await becomes(verifier, token, "invalid", 2_000);
  });
});

test("a service that signs with HS256 is asked about every token", async () => {
  const node = await testbed.start({ HASH_MEMORY: "8" });
  await using client = new UserServiceClient(node.address);
  await using verifier = new Verifier(client);
  const { accessToken } = await register(testbed, client, "ada", node);
  const token = accessToken.reveal();
  assert.ok(await verifier.waitUntilComplete());
  assert.equal(verifier.ready, false);
  assert.equal(verifier.status().keys, 0);
  assert.equal(verifier.verifyLocal(token), undefined);
  assert.equal(await verdict(verifier, token), "valid");
  assert.equal(verifier.status().asked, 1);
  const altered = token.replace(/\.([\w-])/, (_, c) => `.${c === "e" ? "f" : "e"}`);
  assert.equal(await verdict(verifier, altered), "invalid");
  await client.logout({ token });
  assert.equal(await verdict(verifier, token), "revoked");
});

test("with two nodes, a stopped one costs nothing but a moment", async (t) => {
  let nodes: [Node, Node];
  try {
    nodes = await testbed.cluster(SETTINGS);
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.log(`left out: verifier with two nodes (${error.message} is missing)`);
    return t.skip();
  }
  for (const paused of nodes) {
    const other = nodes.find((node) => node !== paused)!;
    await using verifier = new Verifier({ addresses: nodes.map(({ address }) => address) });
    await using client = new UserServiceClient(other.address);
    const username = `ada${paused.port}`;
    const { accessToken } = await register(testbed, client, username);
    const token = accessToken.reveal();
    assert.ok(await verifier.waitUntilComplete());
    assert.equal(await verdict(verifier, token), "valid");
    await testbed.pause(paused);
    await client.logout({ token });
    const start = performance.now();
    await becomes(verifier, token, "revoked", 2_500);
    const took = performance.now() - start;
    console.log(`verifier: revoked after ${Math.round(took)} ms with a stopped node`);
    assert.ok(verifier.ready);
    await testbed.resume(paused);
  }
});
