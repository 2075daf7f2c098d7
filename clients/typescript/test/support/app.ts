// The checks that every protected app has to pass.

import assert from "node:assert/strict";
import type { AddressInfo, Server } from "node:net";

import type { UserServiceClient } from "user-service-client";
import { PASSWORD } from "./testbed.js";

export const urlOf = (server: Server) =>
  `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** Checks an app with the routes /open, /me and /login. */
export async function check(base: string, client: UserServiceClient): Promise<void> {
  const get = (path: string, authorization?: string) =>
    fetch(`${base}${path}`, authorization === undefined ? {} : { headers: { authorization } });
  assert.equal((await get("/open")).status, 200);

  const missing = await get("/me");
  assert.equal(missing.status, 401);
  assert.equal(missing.headers.get("www-authenticate"), "Bearer");
  for (const bad of ["Bearer x.y.z", "Bearer", "Basic YTpi", `Bearer ${"a".repeat(3_000)}`]) {
    const response = await get("/me", bad);
    assert.equal(response.status, 401, bad);
    assert.equal(response.headers.get("www-authenticate"), 'Bearer error="invalid_token"');
    assert.equal(((await response.json()) as { error: string }).error, "INVALID_TOKEN");
  }

  const { accessToken, userId } = await client.login({ login: "ada", password: PASSWORD });
  const authorization = `Bearer ${accessToken.reveal()}`;
  const good = await get("/me", authorization);
  assert.equal(good.status, 200);
  assert.deepEqual(await good.json(), { userId });

  // An error of a call becomes its status.
  const refused = await get("/login");
  assert.equal(refused.status, 401);
  assert.equal(((await refused.json()) as { error: string }).error, "INVALID_CREDENTIALS");

  await client.logout({ token: accessToken });
  let status = 200;
  for (const end = Date.now() + 2_000; status === 200 && Date.now() < end;) {
    ({ status } = await get("/me", authorization));
  }
  assert.equal(status, 401, "the token of a session that has ended");
}
