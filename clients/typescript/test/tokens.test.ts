import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mock, test } from "node:test";

import { Follower } from "../dist/verifier/follower.js";
import { isReduced, isStrictPoint } from "../dist/verifier/ed25519.js";
import { instantMember, parseObject } from "../dist/verifier/json.js";
import { parseKeySet } from "../dist/verifier/keys.js";
import { Local } from "../dist/verifier/local.js";
import { verifierSettings } from "../dist/verifier/options.js";
import type { Verified } from "user-service-client";
import { RETENTION, Revocations } from "../dist/verifier/revocations.js";
import { ServiceTime } from "../dist/verifier/time.js";
import { uuidBytes } from "../dist/codec/values.js";

const url = new URL("../../../user-proto/vectors/tokens.json", import.meta.url);
const vectors = JSON.parse(readFileSync(url, "utf8"));
const genuine = (algorithm: string): string =>
  vectors.vectors.find(({ name }: { name: string }) => name === `${algorithm}.genuine`).token;

/** Returns a verifier's state with the keys of the vectors, at their time, and its follower. */
function start(options = {}) {
  let surprises = 0;
  const local = new Local(verifierSettings(options), () => {
    surprises += 1;
  });
  const follower = new Follower(local);
  const apply = (changes = {}) => {
    const at = performance.now();
    const keys = {
      jwks: JSON.stringify(vectors.jwks),
      accessLife: vectors.access_life,
      refreshAfter: 300,
      nowMs: vectors.now * 1000,
      ...changes,
    };
    return follower.applyKeys(keys, { sentAt: at, receivedAt: at });
  };
  const revoke = (entries: { kind: number; id: Uint8Array; before: number }[], changes = {}) => {
    const at = performance.now();
    const nowMs = vectors.now * 1000;
    const answer = { cursor: new Uint8Array(), staleMs: 0, more: 0, nowMs, entries, ...changes };
    return follower.applyRevocations(answer, { sentAt: at, receivedAt: at });
  };
  apply();
  return { local, follower, apply, revoke, surprises: () => surprises };
}

test(`${vectors.vectors.length} tokens get the right verdict`, () => {
  assert.ok(vectors.vectors.length >= 100);
  const { local, revoke } = start();
  revoke([]);
  const names: Record<string, string> = {
    INVALID_TOKEN: "invalid",
    TOKEN_EXPIRED: "expired",
  };
  for (const { name, token, verdict } of vectors.vectors) {
    for (const round of ["new", "seen"]) {
      const found = local.check(token);
      if (verdict === "OK") {
        assert.equal(typeof found, "object", `${name} ${round}: ${found}`);
      } else if (found !== undefined) {
        assert.equal(found, names[verdict], `${name} ${round}`);
      } else {
        // The service is asked, and refuses it.
        assert.match(name, /key\.unknown|alg\.hs256\.kid|kid\.empty|claims\.(iss|aud)$/, name);
      }
    }
  }
});

test("nothing is decided before all revocations have arrived", () => {
  const { local, revoke } = start();
  assert.equal(local.check(genuine("eddsa")), undefined);
  revoke([], { more: 1 });
  assert.equal(local.check(genuine("eddsa")), undefined);
  revoke([], { staleMs: 6_000 });
  assert.equal(local.check(genuine("eddsa")), undefined);
  revoke([]);
  assert.equal(typeof local.check(genuine("eddsa")), "object");
  const { userId, sessionId } = local.check(genuine("eddsa")) as Verified;
  assert.equal(userId, "8f1f7b3e-8f43-4a42-9d8e-0c2a6f6f5a11");
  assert.equal(sessionId, "0d4b6c1e-3f0a-4d5e-8c7b-9a1b2c3d4e5f");
});

test("in an outage, tokens are checked in memory up to the age limit, and marked as stale", () => {
  const { local, revoke } = start();
  // Integers, which are exact.
  const at = Math.ceil(performance.now());
  let passed = 0;
  const clock = mock.method(performance, "now", () => at + passed);
  revoke([]);
  const check = (ms: number) => {
    passed = ms;
    return local.check(genuine("eddsa"));
  };
  assert.equal((check(1_000) as Verified).staleMs, undefined);
  assert.equal((check(1_001) as Verified).staleMs, 1_001);
  assert.equal((check(5_000) as Verified).staleMs, 5_000);
  assert.equal(check(5_001), undefined);
  assert.equal(local.isReady, false);
  revoke([]);
  assert.equal((check(5_002) as Verified).staleMs, undefined);
  clock.mock.restore();
});

test("each kind of revocation applies to tokens that were already seen", () => {
  const session = uuidBytes("0d4b6c1e-3f0a-4d5e-8c7b-9a1b2c3d4e5f");
  const user = uuidBytes("8f1f7b3e-8f43-4a42-9d8e-0c2a6f6f5a11");
  const none = new Uint8Array();
  const entries = [
    { kind: 1, id: session, before: 0 },
    { kind: 2, id: user, before: 0 },
    { kind: 3, id: none, before: 1_700_000_000 },
  ];
  for (const entry of entries) {
    const { local, revoke } = start();
    revoke([]);
    assert.equal(typeof local.check(genuine("es256")), "object");
    revoke([entry]);
    assert.equal(local.check(genuine("es256")), "revoked", `kind ${entry.kind}`);
  }
  const { local, revoke, apply } = start();
  revoke([{ kind: 3, id: none, before: 1_699_999_999 }]);
  assert.equal(typeof local.check(genuine("es256")), "object");
  const kid = Buffer.from(vectors.jwks.keys[1].kid);
  assert.equal(revoke([{ kind: 4, id: kid, before: 0 }]), true);
  assert.equal(local.check(genuine("es256")), "invalid");
  // Even if GetKeys still returns it.
  apply();
  assert.equal(local.check(genuine("es256")), "invalid");
  assert.equal(typeof local.check(genuine("eddsa")), "object");
  assert.equal(revoke([{ kind: 4, id: kid, before: 0 }]), false);
});

test("an entry that is not understood makes the verifier ask for every token", () => {
  for (const entry of [
    { kind: 5, id: new Uint8Array(16), before: 0 },
    { kind: 1, id: new Uint8Array(15), before: 0 },
    { kind: 3, id: new Uint8Array(1), before: 0 },
    { kind: 4, id: Uint8Array.of(0xff), before: 0 },
    { kind: 4, id: new Uint8Array(), before: 0 },
  ]) {
    const { local, revoke } = start();
    revoke([entry]);
    assert.equal(local.check(genuine("eddsa")), undefined, JSON.stringify(entry));
  }
});

test("a kid of over 256 bytes names no key", () => {
  const [okp] = vectors.jwks.keys;
  const longest = "ü".repeat(128);
  const tooLong = `${longest}x`;
  const { local, revoke, apply, surprises } = start();
  // Such an entry is left out: it revokes nothing, and no token has to be asked about.
  assert.equal(revoke([{ kind: 4, id: Buffer.from(tooLong), before: 0 }]), false);
  assert.equal(typeof local.check(genuine("eddsa")), "object");
  assert.equal(local.keys.isRevoked(tooLong), false);
  assert.equal(revoke([{ kind: 4, id: Buffer.from(longest), before: 0 }]), true);
  assert.equal(local.keys.isRevoked(longest), true);
  // So is such a key.
  apply({ jwks: JSON.stringify({ keys: [okp, { ...okp, kid: tooLong }] }) });
  assert.equal(local.keys.size, 1);
  assert.equal(parseKeySet(JSON.stringify({ keys: [{ ...okp, kid: longest }] }))?.size, 1);
  // And such a token is invalid, without a question to the service.
  const [, claims, signature] = genuine("eddsa").split(".");
  const named = (kid: string) => {
    const header = JSON.stringify({ typ: "at+jwt", alg: "EdDSA", kid });
    return `${Buffer.from(header).toString("base64url")}.${claims}.${signature}`;
  };
  assert.equal(local.check(named(tooLong)), "invalid");
  assert.equal(surprises(), 0);
  assert.equal(local.check(named("ü".repeat(127))), undefined);
});

test("a service with revoked keys only is not one that signs with HS256", () => {
  const { local, revoke, apply } = start();
  for (const { kid } of vectors.jwks.keys) revoke([{ kind: 4, id: Buffer.from(kid), before: 0 }]);
  apply();
  assert.equal(local.keys.size, 0);
  assert.equal(local.isLeftToService, false);
  apply({ jwks: '{"keys":[]}' });
  assert.equal(local.isLeftToService, true);
});

test("a refusal of GetKeys leaves the verdicts to the service only before there are keys", () => {
  const { local, follower } = start();
  follower.applyNotPermitted();
  assert.equal(local.isLeftToService, false);
  const other = new Local(verifierSettings({}), () => {});
  new Follower(other).applyNotPermitted();
  assert.equal(other.isLeftToService, true);
});

test("a key that is not in the last answer is not used any more, nor what it has verified", () => {
  const { local, revoke, apply, surprises } = start();
  revoke([]);
  assert.equal(typeof local.check(genuine("eddsa")), "object");
  apply({ jwks: JSON.stringify({ keys: [vectors.jwks.keys[1]] }) });
  assert.equal(local.check(genuine("eddsa")), undefined);
  assert.equal(surprises(), 1);
  assert.equal(typeof local.check(genuine("es256")), "object");
});

test("a token with too long a lifetime is not decided, and makes GetKeys due", () => {
  const { local, revoke, apply, surprises } = start();
  revoke([]);
  apply({ accessLife: 899 });
  assert.equal(local.check(genuine("eddsa")), undefined);
  assert.equal(surprises(), 1);
  apply();
  assert.equal(typeof local.check(genuine("eddsa")), "object");
});

test("keys that were not read again in time are not used", () => {
  const { local, revoke, follower } = start({ ageLimitMs: 1e9 });
  revoke([]);
  assert.equal(typeof local.check(genuine("eddsa")), "object");
  const at = performance.now() - 310_001;
  const jwks = JSON.stringify(vectors.jwks);
  const keys = { jwks, accessLife: 900, refreshAfter: 300 };
  follower.applyKeys(keys, { sentAt: at, receivedAt: at });
  assert.equal(local.check(genuine("eddsa")), undefined);
  assert.equal(local.isReady, false);
  follower.applyKeys(keys, { sentAt: at + 1_000, receivedAt: at + 1_000 });
  assert.equal(typeof local.check(genuine("eddsa")), "object");
});

test("a genuine token of another issuer or audience is not decided", () => {
  for (const options of [{ issuer: "other" }, { audience: "other" }]) {
    const { local, revoke } = start(options);
    revoke([]);
    assert.equal(local.check(genuine("eddsa")), undefined);
  }
});

test("a token is not decided while the clock of the service is behind an earlier answer", () => {
  const { local, revoke } = start();
  revoke([], { nowMs: 1_700_001_000_000 });
  assert.equal(local.check(genuine("eddsa")), "expired");
  revoke([]);
  assert.equal(local.check(genuine("eddsa")), undefined);
});

test("a clock that was ahead for a moment is forgotten after 61 minutes", () => {
  const [start, years, kept] = [1_700_000_000, 10 * 365 * 86_400, 61 * 60];
  let time = new ServiceTime();
  // The clock of the service is ahead by so much. The answer arrives a second after the request.
  const answer = (elapsed: number, ahead: number) => {
    const times = { sentAt: elapsed * 1000, receivedAt: (elapsed + 1) * 1000 };
    time.observe((start + elapsed + ahead) * 1000, times, RETENTION);
  };
  const check = (elapsed: number, issued: number) =>
    time.check(start + issued, start + issued + 900, elapsed * 1000);
  answer(0, 0);
  assert.equal(check(1, 0), "current");
  answer(10, years);
  assert.equal(check(11, 0), "expired");
  answer(20, 0);
  assert.equal(check(21, 20), "disputed");
  // The time counts from the arrival of the first answer to the sending of the last.
  answer(20 + kept, 0);
  assert.equal(check(21 + kept, 20 + kept), "disputed");
  answer(21 + kept, 0);
  assert.equal(check(22 + kept, 21 + kept), "current");
  assert.equal(check(22 + kept, kept - 900), "expired");
  // Issued while the clock was ahead.
  assert.equal(check(22 + kept, years), "expired");

  // If the clock is ahead again in between, the time starts anew.
  time = new ServiceTime();
  answer(0, years);
  answer(10, 0);
  answer(1_000, years);
  answer(1_010, 0);
  for (const elapsed of [11 + kept, 1_010 + kept]) {
    answer(elapsed, 0);
    assert.equal(check(elapsed + 1, elapsed), "disputed");
  }
  // An answer that is ahead drops nothing, even after the time.
  answer(1_011 + kept, years);
  answer(1_012 + kept, 0);
  assert.equal(check(1_013 + kept, 1_012 + kept), "disputed");
  answer(1_013 + 2 * kept, 0);
  assert.equal(check(1_014 + 2 * kept, 1_013 + 2 * kept), "current");
});

test("an entry that arrives again is kept for as long again", () => {
  const entries = new Revocations(2);
  const minute = 60_000;
  const id = (byte: number) => new Uint8Array(16).fill(byte);
  const add = (byte: number, minutes: number) => entries.add(id(byte), minutes * minute);
  const expire = (minutes: number, ...expected: number[]) => {
    entries.expire(minutes * minute);
    assert.equal(entries.size, expected.length);
    assert.equal(entries.isFull, expected.length === 2);
    const other = Buffer.from(id(9)).toString("latin1");
    for (const byte of expected) {
      const one = Buffer.from(id(byte)).toString("latin1");
      assert.ok(entries.contain({ session: one, user: other, issuedAt: 0 }), `${byte}`);
      assert.ok(entries.contain({ session: other, user: one, issuedAt: 0 }), `${byte}`);
    }
  };
  assert.equal(add(1, 0), true);
  assert.equal(add(2, 10), true);
  // Arrivals of ids that are known need no space.
  assert.equal(add(3, 20), false);
  for (let minutes = 20; minutes <= 40; minutes += 1) assert.equal(add(1, minutes), true);
  assert.equal(add(3, 40), false);
  expire(70, 1, 2);
  // Between its first and its latest arrival, an entry does not keep others.
  expire(71, 1);
  assert.equal(add(3, 71), true);
  assert.equal(add(4, 71), false);
  expire(100, 1, 3);
  expire(101, 3);
  expire(132);
});

test("the revocations are bounded, and expire together with their tokens", () => {
  const { local, revoke, follower } = start({ maxRevocations: 2 });
  const row = (byte: number) => ({ kind: 1, id: new Uint8Array(16).fill(byte), before: 0 });
  revoke([row(1), row(2)]);
  assert.equal(typeof local.check(genuine("eddsa")), "object");
  revoke([row(3)], { cursor: Uint8Array.of(7) });
  assert.equal(local.check(genuine("eddsa")), undefined);
  assert.equal(local.revocations.size, 2);
  follower.expire(performance.now() + RETENTION - 1_000);
  assert.equal(local.revocations.size, 2);
  follower.expire(performance.now() + RETENTION + 1_000);
  assert.equal(local.revocations.size, 0);
  assert.equal(follower.cursor.length, 0);
});

test("keys are read strictly", () => {
  const [okp, ec] = vectors.jwks.keys;
  const sizes = (...keys: object[]) => parseKeySet(JSON.stringify({ keys }))?.size;
  assert.equal(sizes(okp, ec), 2);
  assert.equal(sizes(okp, okp), 1);
  assert.equal(sizes({ ...okp, kid: "same" }, { ...ec, kid: "same" }), 0);
  const off = Buffer.from(ec.y, "base64url");
  off.writeUInt8(off.readUInt8(31) ^ 1, 31);
  for (const key of [
    { ...okp, d: "AAAA" },
    { ...okp, use: "enc" },
    { ...okp, use: undefined },
    { ...okp, alg: "ES256" },
    { ...okp, kid: "" },
    { ...okp, key_ops: ["sign"] },
    { ...okp, crv: "Ed448" },
    { ...okp, x: Buffer.alloc(32).toString("base64url") },
    { ...okp, x: `${okp.x}=` },
    { ...okp, x: Buffer.alloc(31, 7).toString("base64url") },
    { ...ec, y: off.toString("base64url") },
    { ...ec, crv: "P-384" },
    { kty: "oct", kid: "k", alg: "HS256", use: "sig", k: "AAAA" },
  ]) {
    assert.equal(sizes(key), 0, JSON.stringify(key));
  }
  for (const text of ["", "[]", "null", '{"keys":{}}']) assert.equal(parseKeySet(text), undefined);
});

test("points of small order, points that are not canonical and large scalars are refused", () => {
  const hex = (text: string) => Buffer.from(text, "hex");
  for (const point of [
    "00".repeat(32),
    `00${"00".repeat(30)}80`,
    `01${"00".repeat(31)}`,
    `ec${"ff".repeat(30)}7f`,
    `ed${"ff".repeat(30)}7f`,
    `ee${"ff".repeat(30)}ff`,
    "ff".repeat(32),
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  ]) {
    assert.equal(isStrictPoint(hex(point)), false, point);
  }
  assert.equal(isStrictPoint(hex(`eb${"ff".repeat(30)}7f`)), true);
  const order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
  assert.equal(isReduced(hex(order)), false);
  assert.equal(isReduced(hex(`ec${order.slice(2)}`)), true);
  assert.equal(isReduced(hex("ff".repeat(32))), false);
});

test("members of an object are found once each, with their own text", () => {
  const parse = (text: string) => parseObject(Buffer.from(text));
  assert.deepEqual(
    [...(parse(' { "a" : 1 , "b":{"a":[1,"}"]}, "c\\"":"x,y" } ') ?? [])],
    [
      ["a", "1"],
      ["b", '{"a":[1,"}"]}'],
      ['c"', '"x,y"'],
    ],
  );
  assert.equal(parse("{}")?.size, 0);
  assert.equal(parse('{"a":1,"\\u0061":2}'), undefined);
  for (const text of ["[]", "1", "null", "", '{"a":1', '\ufeff{"a":1}', "{'a':1}"]) {
    assert.equal(parse(text), undefined, text);
  }
  assert.equal(parseObject(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), undefined);
  const instant = (json: string) => instantMember(new Map([["exp", json]]), "exp");
  assert.equal(instant("9007199254740991"), 9_007_199_254_740_991);
  for (const json of ["9007199254740992", "1.0", "1e3", "-1", "-0", '"1"', "01", "null"]) {
    assert.equal(instant(json), undefined, json);
  }
});
