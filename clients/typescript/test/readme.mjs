// Runs every program of README.md against a live server. A service is asked with and without a
// token; any other program has to end without an error.
//
// Usage: node test/readme.mjs (after test.sh has built everything)

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { UserServiceClient } from "user-service-client";
import { PASSWORD, register, Testbed, until } from "../.build/support/testbed.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}.build/readme`;
const readme = readFileSync(`${root}README.md`, "utf8");
const programs = [...readme.matchAll(/^```(js|ts)\n(.*?)^```$/gms)];
assert.ok(
  readme.split("\n").slice(1, 14).join("\n").includes("```js"),
  "it begins with an example",
);
assert.ok(programs[0][2].trim().split("\n").length <= 10, "the first example has ten lines");

const testbed = new Testbed();
try {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const tls = await testbed.tls();
  copyFileSync(tls.ca, `${folder}/ca.pem`);
  copyFileSync(tls.client_certificate, `${folder}/client.pem`);
  copyFileSync(tls.client_key, `${folder}/client-key.pem`);
  const [node, secure] = await Promise.all([
    testbed.start({ TOKEN_SIGNING: "EdDSA", HASH_MEMORY: "8" }),
    testbed.start({}, tls, true),
  ]);
  const client = new UserServiceClient(node.address);
  const { accessToken, userId } = await register(testbed, client, "ada", node);
  await client.close();
  const authorization = `Bearer ${accessToken.reveal()}`;

  for (const [index, [, language, text]] of programs.entries()) {
    const port = await testbed.freePort();
    const source = text
      .replaceAll("127.0.0.1:3001", node.address)
      .replaceAll("127.0.0.1:3002", node.address)
      .replaceAll("localhost:3001", `localhost:${secure.port}`)
      .replaceAll("8080", String(port));
    writeFileSync(`${folder}/${index}.${language}`, source);
    if (language === "ts") {
      const options = "--target es2022 --module nodenext --experimentalDecorators --skipLibCheck";
      const types = ["--types", "node", "--strict", "--ignoreConfig"];
      const tsc = `${root}node_modules/.bin/tsc`;
      const args = [...options.split(" "), ...types, `${index}.ts`];
      execFileSync(tsc, args, { cwd: folder, stdio: "inherit" });
    }
    const program = spawn("node", [`${index}.js`], { cwd: folder });
    let output = "";
    program.stdout.on("data", (chunk) => (output += chunk));
    program.stderr.on("data", (chunk) => (output += chunk));
    const ended = once(program, "exit");
    if (text.includes('"/login"')) {
      const url = `http://127.0.0.1:${port}/login`;
      const post = (body) =>
        fetch(url, {
          method: "POST",
          body: JSON.stringify(body),
          headers: { "content-type": "application/json" },
        }).catch(() => undefined);
      await until(`program ${index}`, async () => (await post({})) !== undefined, 20_000);
      assert.equal((await post({})).status, 400);
      assert.equal((await post({ login: "ada", password: 5 })).status, 400);
      assert.equal((await post({ login: "ada", password: "wrong" })).status, 401);
      const response = await post({ login: "ada", password: PASSWORD.reveal() });
      assert.equal(response.status, 200);
      const tokens = await response.json();
      const client = new UserServiceClient(node.address);
      assert.equal((await client.verifyToken({ accessToken: tokens.accessToken })).userId, userId);
      await client.refreshToken({ refreshToken: tokens.refreshToken });
      await client.close();
      program.kill();
      await ended;
    } else if (text.includes("listen(")) {
      const url = `http://127.0.0.1:${port}/me`;
      const get = (headers) => fetch(url, { headers }).catch(() => undefined);
      await until(`program ${index}: ${output}`, async () => (await get({})) !== undefined, 20_000);
      assert.equal((await get({})).status, 401);
      const response = await get({ authorization });
      assert.equal(response.status, 200);
      assert.deepEqual(await response.json(), { userId });
      program.kill();
      await ended;
    } else {
      const [code] = await ended;
      assert.equal(code, 0, `program ${index}: ${output}`);
      assert.ok(!output.includes("correct horse"), output);
      assert.ok(!/not within|wrong"|undefined/.test(output), output);
    }
  }
  console.log(`readme: ${programs.length} programs`);
} finally {
  await testbed.close();
}
