// The tables and texts of README.md. `readme.mjs` runs its programs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { InvalidRequestError, toHttp, UserServiceError } from "user-service-client";
import { UserServiceClient, Verifier } from "user-service-client";
import type { ErrorKind } from "user-service-client";
import { EncodeError } from "../dist/codec/error.js";
import type { ReplyLayout } from "../dist/codec/layout.js";
import { REPLIES, REQUESTS } from "../dist/generated/messages.js";
import { verifierSettings } from "../dist/verifier/options.js";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

test("the table of methods has one row for each request, with all fields", () => {
  const names = ({ fields }: ReplyLayout) =>
    fields.map(({ key, tag }) => (tag === undefined ? key : `${key}?`)).join(", ");
  const expected = Object.values(REQUESTS).map((layout) => {
    const method = layout.name.charAt(0).toLowerCase() + layout.name.slice(1);
    const fields = layout.fields.length === 0 ? "" : `{ ${names(layout)} }`;
    return `${method}(${fields}): ${names(REPLIES.get(layout.reply)!)}`;
  });
  const rows = [...readme.matchAll(/^\| `(\w+\(.*?\))` \| `(.*?)` \| .+ \|$/gm)];
  assert.deepEqual(rows.map(([, method, reply]) => `${method}: ${reply}`).sort(), expected.sort());
  for (const [, method = ""] of rows) {
    assert.ok(method.split("(")[0]! in UserServiceClient.prototype, method);
  }
});

test("the table of errors has all kinds, with their statuses", () => {
  const of = (kind: ErrorKind) =>
    (["not_done", "unknown"] as const).map(
      (outcome) => toHttp(new UserServiceError(kind, outcome, "x")).status,
    );
  const expected: Record<ErrorKind, string> = {
    refused: "that of the code",
    connect: "503",
    certificate: "503",
    lost: "504",
    deadline: "503, or 504 if the request was sent",
    aborted: "503, or 504 if the request was sent",
    bad_reply: "504",
    overloaded: "503",
    closed: "503",
    invalid_request: "400, or 500 for an option of the call",
    plaintext: "500",
  };
  const rows = [...readme.matchAll(/^\| `(\w+)` \| .+ \| ([^|]+) \|$/gm)];
  assert.deepEqual(Object.fromEntries(rows.map(([, kind, status]) => [kind, status])), expected);
  assert.deepEqual(of("connect"), [503, 504]);
  assert.deepEqual(of("deadline"), [503, 504]);
  assert.deepEqual(of("plaintext"), [500, 500]);
  const invalid = (field: string) => toHttp(new InvalidRequestError(new EncodeError(field, "x")));
  assert.deepEqual([invalid("login").status, invalid("clientAddress").status], [400, 500]);
});

test("the texts of errors and of the log are those of the program", async () => {
  const users = new UserServiceClient("users.internal:3001");
  const error = await users.login({ login: "a", password: "p" }).catch((error) => error);
  assert.equal(error.kind, "plaintext");
  assert.ok(readme.includes(`\n    ${error.message}\n`), error.message);
  assert.throws(() => new Verifier(users), { kind: "plaintext" });
  const mistake = await users.ping({ deadline: 5 } as never).catch((error) => error);
  const hint = mistake.message.split(": ")[1];
  assert.ok(readme.includes(hint), hint);

  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  await using verifier = new Verifier("127.0.0.1:1", { log });
  const token = "e30.e30.e30";
  await verifier.verify(token).catch(() => {});
  const { token: genuine } = JSON.parse(
    readFileSync(new URL("../../../user-proto/vectors/tokens.json", import.meta.url), "utf8"),
  ).vectors[0];
  await verifier.verify(genuine).catch(() => {});
  assert.equal(lines.length, 2);
  for (const line of lines) {
    assert.ok(readme.includes(`\n    ${line.replaceAll("127.0.0.1:1", "127.0.0.1:3001")}\n`), line);
  }
});

test("the numbers are those of the program", () => {
  const settings = verifierSettings({});
  const { ageLimitMs, askTimeoutMs, issuer, audience } = settings;
  assert.deepEqual([ageLimitMs, askTimeoutMs, issuer, audience], [5_000, 3_000, issuer, issuer]);
  assert.ok(readme.includes("For 5 s (`ageLimitMs`)"));
  assert.ok(readme.includes("up to 3 s (`askTimeoutMs`)"));
  assert.ok(readme.includes(`\`issuer\` and \`audience\` are \`${audience}\``));
});

test("every link within the document has its heading", () => {
  const headings = [...readme.matchAll(/^#+ (.+)$/gm)].map(([, text]) =>
    text!.toLowerCase().replaceAll(/[^a-z0-9 -]/g, "").replaceAll(" ", "-"),
  );
  const links = [...readme.matchAll(/\]\(#([^)]+)\)/g)].map(([, link]) => link!);
  assert.ok(links.length >= 7);
  for (const link of links) assert.ok(headings.includes(link), link);
});
