// Two nodes that are restarted one after another, under load.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { UserServiceClient, Verifier } from "user-service-client";
import type { UserServiceError } from "user-service-client";
import { Missing, PASSWORD, register, sleep, Testbed } from "./support/testbed.js";
import type { Node } from "./support/testbed.js";

const testbed = new Testbed();
after(() => testbed.close());

test("no call that may be repeated fails while the nodes are restarted", async (t) => {
  let nodes: [Node, Node];
  try {
    nodes = await testbed.cluster({ TOKEN_SIGNING: "EdDSA", HASH_MEMORY: "8" });
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.log(`left out: rolling restart (${error.message} is missing)`);
    return t.skip();
  }
  const addresses = nodes.map(({ address }) => address);
  await using client = new UserServiceClient({ addresses });
  await using verifier = new Verifier({ addresses });
  const session = await register(testbed, client, "ada");
  const { accessToken } = session;
  assert.ok(await verifier.waitUntilComplete());

  let isRunning = true;
  const calls: Record<string, number> = {};
  const failures: string[] = [];
  const load = async (name: string, pause: number, call: () => Promise<unknown>) => {
    while (isRunning) {
      try {
        await call();
        calls[name] = (calls[name] ?? 0) + 1;
      } catch (error) {
        const { message, outcome } = error as UserServiceError;
        failures.push(`${name}: ${outcome} ${message}`);
      }
      await sleep(pause);
    }
  };
  let { refreshToken } = session;
  let renames = 0;
  const running = [
    ...Array.from({ length: 8 }, () =>
      load("verifyToken", 1, () => client.verifyToken({ accessToken })),
    ),
    load("getUser", 1, () => client.getUser({ accessToken })),
    load("verify", 1, () => verifier.verify(accessToken.reveal())),
    load("login", 60, async () => {
      const { accessToken } = await client.login({ login: "ada@example.org", password: PASSWORD });
      await client.logout({ token: accessToken });
    }),
    load("refreshToken", 200, async () => {
      ({ refreshToken } = await client.refreshToken({ refreshToken }));
    }),
    load("updateUser", 400, async () => {
      renames += 1;
      if (renames > 4) return;
      const { username } = await client.updateUser({ accessToken, username: `ada${renames}` });
      assert.equal(username, `ada${renames}`);
    }),
  ];
  // The nodes keep their secret, keys and sessions.
  for (const node of [...nodes, nodes[0]]) {
    await sleep(500);
    await testbed.restart(node);
  }
  // On a slow machine, some calls take long, and so does a new connection.
  const names = ["verifyToken", "getUser", "verify", "login", "refreshToken", "updateUser"];
  const end = Date.now() + 20_000;
  const isDone = () =>
    names.every((name) => (calls[name] ?? 0) >= 3) &&
    client.status().every(({ connected }) => connected);
  do await sleep(500);
  while (Date.now() < end && !isDone());
  isRunning = false;
  await Promise.all(running);
  console.log(`calls during three restarts: ${JSON.stringify(calls)}`);
  assert.deepEqual(failures, []);
  for (const name of names) {
    assert.ok((calls[name] ?? 0) >= 3, `${name}: ${calls[name]}`);
  }
  assert.deepEqual(
    client.status().map(({ connected }) => connected),
    [true, true],
  );
});
