import { createPublicKey, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";

import { decodeBase64Url } from "./base64url.js";
import { isReduced, isStrictPoint } from "./ed25519.js";

/** Longest kid in bytes. */
export const MAX_KID = 256;
/** Number of revoked keys that are remembered. */
const MAX_REVOKED = 10_000;
/** Members of a JWK that contain a secret or a private key (RFC 7518). */
const PRIVATE = ["d", "k", "p", "q", "dp", "dq", "qi", "oth"];
/** Length of a signature: R and S of Ed25519, r and s of ECDSA on P-256. */
const SIGNATURE = 64;

type Jwk = Record<string, unknown>;

/** A public key, with its only algorithm. */
export class PublicKey {
  readonly algorithm: "EdDSA" | "ES256";
  readonly #key: KeyObject;

  private constructor(algorithm: "EdDSA" | "ES256", jwk: Record<string, string>) {
    this.algorithm = algorithm;
    // Refuses a point that is not on the curve.
    this.#key = createPublicKey({ key: jwk, format: "jwk" });
  }

  /** Reads a JWK. Returns `undefined` if it is not a public key of a known algorithm. */
  static fromJwk(jwk: Jwk): PublicKey | undefined {
    const { kty, crv, alg, x, y, key_ops: operations } = jwk;
    if (PRIVATE.some((name) => name in jwk) || jwk["use"] !== "sig") return undefined;
    if (operations !== undefined) {
      if (!Array.isArray(operations) || !operations.includes("verify")) return undefined;
    }
    try {
      if (kty === "OKP" && crv === "Ed25519" && alg === "EdDSA") {
        const point = coordinate(x);
        if (point === undefined || !isStrictPoint(point)) return undefined;
        return new PublicKey(alg, { kty, crv, x: x as string });
      }
      if (kty === "EC" && crv === "P-256" && alg === "ES256") {
        if (coordinate(x) === undefined || coordinate(y) === undefined) return undefined;
        return new PublicKey(alg, { kty, crv, x: x as string, y: y as string });
      }
    } catch {
      // Not a key that OpenSSL accepts.
    }
    return undefined;
  }

  equals(other: PublicKey): boolean {
    return this.algorithm === other.algorithm && this.#key.equals(other.#key);
  }

  /** Returns `true` if `signature` is a signature of `message` with this key. */
  verify(message: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== SIGNATURE) return false;
    if (this.algorithm === "EdDSA") {
      if (!isStrictPoint(signature.subarray(0, 32))) return false;
      if (!isReduced(signature.subarray(32))) return false;
      return verify(null, message, this.#key, signature);
    }
    return verify("sha256", message, { key: this.#key, dsaEncoding: "ieee-p1363" }, signature);
  }
}

/** Decodes a coordinate of a point: 32 bytes. */
function coordinate(value: unknown): Buffer | undefined {
  const bytes = typeof value === "string" ? decodeBase64Url(value) : undefined;
  return bytes?.length === 32 ? bytes : undefined;
}

/**
 * Reads a JWK Set (RFC 7517). Keys that cannot be used are left out, as the RFC requires. Two
 * different keys with one kid are both left out. Returns `undefined` if it is not a JWK Set.
 */
export function parseKeySet(json: string): Map<string, PublicKey> | undefined {
  let rows: unknown;
  try {
    rows = (JSON.parse(json) as { keys?: unknown } | null)?.keys;
  } catch {
    return undefined;
  }
  if (!Array.isArray(rows)) return undefined;
  const keys = new Map<string, PublicKey>();
  const ambiguous = new Set<string>();
  for (const row of rows as unknown[]) {
    if (typeof row !== "object" || row === null) continue;
    const jwk = row as Jwk;
    const { kid } = jwk;
    const key = PublicKey.fromJwk(jwk);
    if (typeof kid !== "string" || kid === "" || key === undefined) continue;
    if (Buffer.byteLength(kid) > MAX_KID) continue;
    const other = keys.get(kid);
    if (other !== undefined && !other.equals(key)) ambiguous.add(kid);
    else keys.set(kid, key);
  }
  for (const kid of ambiguous) keys.delete(kid);
  return keys;
}

/** The current keys. */
export class Keys {
  /** Increased when a key was dropped, so that tokens that were verified with it do not count. */
  generation = 0;
  isLoaded = false;
  #current = new Map<string, PublicKey>();
  readonly #revoked = new Set<string>();

  get size(): number {
    return this.#current.size;
  }

  get(kid: string): PublicKey | undefined {
    return this.#current.get(kid);
  }

  isRevoked(kid: string): boolean {
    return this.#revoked.has(kid);
  }

  /** Replaces the keys, except for revoked ones. */
  replace(keys: Map<string, PublicKey>): void {
    for (const kid of this.#revoked) keys.delete(kid);
    const isKept = ([kid, key]: [string, PublicKey]) => keys.get(kid)?.equals(key) ?? false;
    if (![...this.#current].every(isKept)) this.generation += 1;
    this.#current = keys;
    this.isLoaded = true;
  }

  /**
   * Drops a key forever. Returns `true` if it was not revoked before, and `undefined` if there are
   * too many revoked keys to remember this one.
   */
  revoke(kid: string): boolean | undefined {
    if (this.#revoked.has(kid)) return false;
    this.#current.delete(kid);
    this.generation += 1;
    if (this.#revoked.size >= MAX_REVOKED) return undefined;
    this.#revoked.add(kid);
    return true;
  }
}
