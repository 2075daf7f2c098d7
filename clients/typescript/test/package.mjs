// Checks the content of the packed package, and uses it in a project of its own.
//
// Usage: node test/package.mjs PACKAGE.tgz

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const tarball = resolve(process.argv[2] ?? "");
const listed = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).trim().split("\n");
const unexpected = listed.filter(
  (path) => !/^package\/(package\.json|README\.md|dist\/[\w/.]+\.(js|d\.ts))$/.test(path),
);
assert.deepEqual(unexpected, []);
for (const file of [
  "README.md",
  "dist/index.js",
  "dist/index.d.ts",
  "dist/express.js",
  "dist/fastify.js",
  "dist/nestjs/index.js",
  "dist/nestjs/microservices.js",
]) {
  assert.ok(listed.includes(`package/${file}`), file);
}

const project = mkdtempSync(join(tmpdir(), "user-service-client-"));
try {
  const write = (name, text) => writeFileSync(join(project, name), text);
  const run = (...args) => execFileSync(args[0], args.slice(1), { cwd: project, stdio: "pipe" });
  // The steps of README.md, without a network.
  const steps = /mkdir my-service && cd my-service && (npm init -y)\n {4}(npm pkg .+)\n {4}(npm i.+)\n/;
  const [, init, type, install] = steps.exec(readFileSync(join(root, "README.md"), "utf8"));
  run(...init.split(" "));
  run(...type.split(" "));
  const [, , ...packages] = install.split(" ");
  assert.deepEqual(packages.slice(0, -1), ["express"]);
  assert.match(packages.at(-1), new RegExp(`/${basename(tarball)}$`));
  run("npm", "install", "--offline", "--no-audit", "--no-fund", "--silent", tarball);
  assert.equal(JSON.parse(readFileSync(join(project, "package.json"), "utf8")).type, "module");
  const installed = join(project, "node_modules", "user-service-client");
  const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  assert.deepEqual(manifest.dependencies ?? {}, {});

  // Without any of the optional peer dependencies.
  write(
    "main.mjs",
    `import { Secret, toHttp, UserServiceClient, Verifier } from "user-service-client";
    import { authenticate } from "user-service-client/express";
    await using client = new UserServiceClient({ addresses: "127.0.0.1:1", log: false });
    const verifier = new Verifier(client);
    if (typeof authenticate(verifier) !== "function") throw new Error("no middleware");
    try {
      await client.ping({ deadlineMs: 50 });
    } catch (error) {
      console.log(toHttp(error).status, String(new Secret("x")));
    }
    await verifier.close();`.replace("await using client", "const client") +
      "\n    await client.close();\n",
  );
  const output = execFileSync("node", ["main.mjs"], { cwd: project, encoding: "utf8" });
  assert.equal(output, "503 [secret]\n");

  // The types, with the strictest options and without skipLibCheck.
  mkdirSync(join(project, "node_modules", "@types"), { recursive: true });
  for (const name of ["@types/node", "undici-types"]) {
    symlinkSync(join(root, "node_modules", name), join(project, "node_modules", name));
  }
  write(
    "main.ts",
    `import { ServiceError, UserServiceClient, Verifier } from "user-service-client";
    import type { LoggedIn, Secret } from "user-service-client";
    import { authenticate } from "user-service-client/express";
    const client = new UserServiceClient({ addresses: ["a:1", "b:2"], tls: true });
    const session: LoggedIn = await client.login({ login: "ada", password: "p" });
    const token: Secret = session.accessToken;
    // @ts-expect-error The password is missing.
    await client.login({ login: "ada" });
    // @ts-expect-error A secret is not a text.
    const text: string = token;
    try { await client.ping(); } catch (error) {
      if (error instanceof ServiceError) console.log(error.code, error.outcome, text);
    }
    export const middleware = authenticate(new Verifier(client));\n`,
  );
  const options = { strict: true, module: "nodenext", target: "es2022", noEmit: true };
  const compilerOptions = { ...options, exactOptionalPropertyTypes: true, types: ["node"] };
  const lib = ["ES2023", "ES2024.String", "ESNext.Disposable"];
  write(
    "tsconfig.json",
    JSON.stringify({ compilerOptions: { ...compilerOptions, lib }, files: ["main.ts"] }),
  );
  const tsc = join(root, "node_modules", ".bin", "tsc");
  execFileSync(tsc, ["-p", project], { stdio: "inherit" });
} finally {
  rmSync(project, { recursive: true });
}
