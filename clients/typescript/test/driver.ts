// The driver of this client for `user-cli conform`, as docs/CONFORMANCE.md describes.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { ServiceError, UserServiceClient, UserServiceError, Verifier } from "user-service-client";
import { VerifyError } from "user-service-client";
import type { Fields } from "../dist/codec/layout.js";
import { REPLIES, REQUESTS } from "../dist/generated/messages.js";
import type { RequestName } from "../dist/generated/messages.js";
import { fromNotation, toNotation } from "./support/notation.js";

type Message = { id: number; op: string } & Record<string, any>;

let client: UserServiceClient;
let verifier: Verifier | undefined;

function connect({ addresses, tls, allow_plaintext: allowPlaintext, verifier: check }: Message) {
  const read = (path: string | null) => (path === null ? undefined : readFileSync(path));
  client = new UserServiceClient({
    addresses,
    allowPlaintext,
    tls: tls && {
      ca: read(tls.ca),
      cert: read(tls.cert),
      key: read(tls.key),
      serverName: tls.server_name ?? undefined,
    },
  });
  if (check !== null && check !== undefined) {
    const { issuer, audience, age_limit_ms: ageLimitMs } = check;
    verifier = new Verifier(client, { issuer, audience, ageLimitMs });
  }
  return { ok: {} };
}

async function call({ message, fields, key, deadline_ms: deadlineMs }: Message) {
  const layout = REQUESTS[message as RequestName];
  const idempotencyKey =
    key === "auto" ? undefined : key === null ? (false as const) : Buffer.from(key, "hex");
  try {
    const request = fromNotation(layout.fields, fields) as never;
    const options = { idempotencyKey, deadlineMs: deadlineMs ?? undefined };
    const reply = await client.call(layout.name as RequestName, request, options);
    const replyLayout = REPLIES.get(layout.reply)!;
    const notation = toNotation(replyLayout.fields, reply as unknown as Fields);
    return { ok: { message: replyLayout.name, fields: notation } };
  } catch (error) {
    if (!(error instanceof UserServiceError)) throw error;
    console.error(String(error));
    const isReply = error instanceof ServiceError;
    const code = isReply ? error.code.toString(16).toUpperCase().padStart(4, "0") : null;
    const retryAfter = isReply ? (error.retryAfterMs ?? null) : null;
    return { error: { code, outcome: error.outcome, retry_after_ms: retryAfter } };
  }
}

async function verify({ token }: Message) {
  if (verifier === undefined) throw new Error("no verifier");
  try {
    await verifier.verify(token);
    return { ok: { verdict: "valid" } };
  } catch (error) {
    if (!(error instanceof VerifyError)) throw error;
    return { ok: { verdict: error.reason } };
  }
}

async function close() {
  await verifier?.close();
  await client.close();
  return { ok: {} };
}

const operations: Record<string, (message: Message) => unknown> = { connect, call, verify, close };

const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const message = JSON.parse(line) as Message;
  let answer: unknown;
  try {
    answer = (await operations[message.op]?.(message)) ?? { unsupported: message.op };
  } catch (error) {
    answer = { failed: String(error) };
  }
  process.stdout.write(`${JSON.stringify({ id: message.id, ...(answer as object) })}\n`);
});
lines.on("close", () => process.exit(0));
