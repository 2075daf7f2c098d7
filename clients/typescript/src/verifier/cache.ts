import * as crypto from "node:crypto";

/** Returns the SHA-256 of all bytes of a token, so that no token is stored. */
export const digest: (token: string) => string =
  // Node 20.12 and later.
  typeof crypto.hash === "function"
    ? (token) => crypto.hash("sha256", token, "base64")
    : (token) => crypto.createHash("sha256").update(token).digest("base64");

/**
 * A map of bounded size. It has two generations: when the young one is full, it replaces the old
 * one, so an entry that is used stays, and one that is not used is dropped.
 */
export class Cache<V> {
  readonly #half: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  constructor(capacity: number) {
    this.#half = Math.max(1, Math.floor(capacity / 2));
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): V | undefined {
    const value = this.#young.get(key);
    if (value !== undefined) return value;
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      this.set(key, old);
    }
    return old;
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }
}
