// Servers for tests: a client of clients/testbed.py, which describes the commands.

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { Secret, UserServiceClient } from "user-service-client";

const REPOSITORY =
  process.env["REPOSITORY"] ?? fileURLToPath(new URL("../../../../", import.meta.url));

export interface Node {
  node: string;
  address: string;
  port: number;
  emails: string;
  pid: number;
}

export interface Output {
  exit_code: number;
  stdout: string;
  stderr: string;
}

export interface Tls {
  folder: string;
  ca: string;
  server_certificate: string;
  server_key: string;
  client_certificate: string;
  client_key: string;
}

/** A tool that is missing, so that a test is left out. */
export class Missing extends Error {}

type Settings = Record<string, string>;

export class Testbed {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { resolve(ok: never): void; reject(error: Error): void }>();
  #lastId = 0;

  constructor() {
    this.#process = spawn("python3", [`${REPOSITORY}/clients/testbed.py`], {
      stdio: ["pipe", "pipe", "inherit"],
      env: {
        ...process.env,
        USER_SERVER: resolve(
          process.env["USER_SERVER"] ?? `${REPOSITORY}/target/debug/user-server`,
        ),
        USER_CLI: resolve(process.env["USER_CLI"] ?? `${REPOSITORY}/target/debug/user-cli`),
      },
    });
    const lines = createInterface({ input: this.#process.stdout! });
    lines.on("line", (line) => {
      const { id, ok, error, missing } = JSON.parse(line);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (ok !== undefined) waiting?.resolve(ok as never);
      else waiting?.reject(missing === undefined ? new Error(error) : new Missing(missing));
    });
    lines.on("close", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the test bed has ended"));
    });
  }

  start(settings: Settings = {}, tls?: Tls, clientCertificates = false): Promise<Node> {
    const folder = tls?.folder ?? null;
    return this.#send("start", { settings, tls: folder, client_certificates: clientCertificates });
  }

  async cluster(settings: Settings = {}): Promise<[Node, Node]> {
    const { nodes } = await this.#send<{ nodes: Node[] }>("cluster", { nodes: 2, settings });
    return nodes as [Node, Node];
  }

  stop(node: Node, signal: "TERM" | "KILL" = "TERM"): Promise<unknown> {
    return this.#send("stop", { node: node.node, signal });
  }

  again(node: Node): Promise<Node> {
    return this.#send("again", { node: node.node });
  }

  restart(node: Node, settings: Settings = {}): Promise<Node> {
    return this.#send("restart", { node: node.node, signal: "TERM", settings });
  }

  pause(node: Node): Promise<unknown> {
    return this.#send("pause", { node: node.node });
  }

  resume(node: Node): Promise<unknown> {
    return this.#send("resume", { node: node.node });
  }

  /** Returns the last code that was emailed to the address. */
  async code(email: string, node?: Node): Promise<string> {
    const { code } = await this.#send<{ code: string }>("code", { email, node: node?.node });
    return code;
  }

  server(node: Node, ...args: string[]): Promise<Output> {
    return this.#send("server", { node: node.node, arguments: args });
  }

  cli(args: string[]): Promise<Output> {
    return this.#send("cli", { arguments: args });
  }

  tls(): Promise<Tls> {
    return this.#send("tls", { names: [] });
  }

  async freePort(): Promise<number> {
    return (await this.#send<{ port: number }>("free_port", {})).port;
  }

  /** Kills every server. */
  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("close", resolve));
    this.#process.stdin!.end();
    await ended;
  }

  #send<T>(op: string, fields: object): Promise<T> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#process.stdin!.write(`${JSON.stringify({ id, op, ...fields })}\n`);
    });
  }
}

export const PASSWORD = new Secret("gravel tulip 9 engine");

/** Registers a user, and returns the reply to the confirmation of the email address. */
export async function register(
  testbed: Testbed,
  client: UserServiceClient,
  username: string,
  node?: Node,
) {
  const email = `${username}@example.org`;
  const { verificationId } = await client.register({ username, email, password: PASSWORD });
  const code = await testbed.code(email, node);
  return client.verifyEmail({ verificationId, code });
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until `condition` returns `true`, for at most `limit` milliseconds. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limit = 5_000,
): Promise<void> {
  const end = performance.now() + limit;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await sleep(10);
  }
}
