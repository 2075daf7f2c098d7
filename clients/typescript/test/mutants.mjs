// Breaks the client in six ways, and checks that `user-cli conform` notices each of them.
//
// Usage: node test/mutants.mjs (after test.sh has built everything)

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Fault, case that notices it, file, text, and its replacement. */
const mutants = [
  [
    "a request is repeated after an error of an unknown class",
    "errors.unknown_class",
    "generated/errors.js",
    'UNKNOWN_CLASS = { outcome: "refused", status: 500, retriedBy: "nobody" }',
    'UNKNOWN_CLASS = { outcome: "not_done", status: 500, retriedBy: "client" }',
  ],
  [
    "the outcome after a TLS alert about the certificate is unknown",
    "tls.certificate_required",
    "client/connection.js",
    "error instanceof CertificateRejected && !this.answered",
    "false",
  ],
  [
    "the idle timeout of Pong is ignored",
    "idle.one_second",
    "client/pulse.js",
    "Math.max(MIN_INTERVAL, timeout / 2)",
    "LIMITS.pingAfterMs",
  ],
  [
    "there is no window for requests that hash",
    "window.hashing",
    "client/call.js",
    "this.#hashing = hashes(plan.layout, plan.fields)",
    "this.#hashing = false",
  ],
  [
    "an error with id 0 that cannot be read is ignored",
    "connection.unreadable_error",
    "client/connection.js",
    "if (frame.type !== ERROR_TYPE)",
    "if (frame.type !== ERROR_TYPE || errorReply(frame) === undefined)",
  ],
  [
    "there is no wait after SHUTTING_DOWN with a single address",
    "shutdown.one_address",
    "client/link.js",
    "this.#failures = this.#nextAttempt = 0;\n            else",
    "this.#failures = this.#nextAttempt = 0;\n            else if (error)",
  ],
];

const runs = mutants.map(async ([fault, id, file, text, replacement], index) => {
  const folder = `${root}.build/mutants/${index}`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(`${folder}/.build`, { recursive: true });
  cpSync(`${root}package.json`, `${folder}/package.json`);
  cpSync(`${root}dist`, `${folder}/dist`, { recursive: true });
  cpSync(`${root}.build/driver.js`, `${folder}/.build/driver.js`);
  cpSync(`${root}.build/support`, `${folder}/.build/support`, { recursive: true });
  const source = readFileSync(`${folder}/dist/${file}`, "utf8");
  assert.equal(source.split(text).length, 2, `${file} contains the text once: ${text}`);
  writeFileSync(`${folder}/dist/${file}`, source.replace(text, replacement));
  const args = ["conform", "--strict", "--case", id, "--", "node", `${folder}/.build/driver.js`];
  const program = spawn(process.env.USER_CLI, args);
  let output = "";
  program.stdout.on("data", (chunk) => (output += chunk));
  program.stderr.on("data", (chunk) => (output += chunk));
  const [code] = await once(program, "close");
  assert.notEqual(code, 0, `conform does not notice: ${fault}`);
  assert.match(output, /0 passed, [1-9]|[1-9] warnings?,/, `${fault}: ${output}`);
});
await Promise.all(runs);
console.log(`mutants: ${runs.length} of ${runs.length} noticed`);
