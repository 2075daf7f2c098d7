import { uuidBytes } from "../codec/values.js";
import type { Claims } from "./token.js";

/**
 * Time in milliseconds for which an entry is kept: the longest lifetime of a token that a service
 * can be configured with, and the time by which a node's clock may be ahead.
 */
export const RETENTION = (60 * 60 + 60) * 1000;

/** Sessions and users of a token, in the form in which the set contains them. */
export interface RevocationIds {
  readonly session: string;
  readonly user: string;
  readonly issuedAt: number;
}

export function revocationIds(claims: Claims): RevocationIds {
  return {
    session: uuidBytes(claims.sessionId).toString("latin1"),
    user: uuidBytes(claims.userId).toString("latin1"),
    issuedAt: claims.issuedAt,
  };
}

/** The revocations that have been received and have not expired. */
export class Revocations {
  /** Time of expiry by id, in the order of this time, which is that of the latest arrival. */
  readonly #ids = new Map<string, number>();
  readonly #max: number;
  /** Every token that was issued at this time or earlier is revoked. */
  #before = -1;
  #beforeUntil = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#ids.size;
  }

  get isFull(): boolean {
    return this.#ids.size >= this.#max;
  }

  contain(ids: RevocationIds): boolean {
    return ids.issuedAt <= this.#before || this.#ids.has(ids.session) || this.#ids.has(ids.user);
  }

  /**
   * Adds a session or user. Returns `false` if there are too many. An id that is already in the set
   * is kept for as long again, even if the set is full: an entry arrives again if some of the tokens
   * that it concerns become valid later, or were issued after it arrived for the first time.
   */
  add(id: Uint8Array, now: number): boolean {
    const key = Buffer.from(id).toString("latin1");
    // To the end of the order.
    if (!this.#ids.delete(key) && this.isFull) return false;
    this.#ids.set(key, now + RETENTION);
    return true;
  }

  /** Revokes every token that was issued at `before` (in seconds) or earlier. */
  addAll(before: number, now: number): void {
    this.#before = Math.max(this.#before, before);
    this.#beforeUntil = now + RETENTION;
  }

  /** Removes the entries that have expired. */
  expire(now: number): void {
    for (const [id, expiry] of this.#ids) {
      if (expiry > now) break;
      this.#ids.delete(id);
    }
    if (this.#beforeUntil <= now) this.#before = -1;
  }
}
