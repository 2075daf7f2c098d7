import type { Keys, Revocations, RevocationsEntriesRow } from "../generated/messages.js";
import { MAX_KID, parseKeySet } from "./keys.js";
import type { Local } from "./local.js";
import { RETENTION } from "./revocations.js";
import type { Times } from "./time.js";

/** Time in milliseconds after which all revocations are requested again if there were too many. */
const RETRY_ALL_AFTER = 60_000;
/** Longest accepted cursor in bytes. */
const MAX_CURSOR = 1_024;
/** Shortest and longest time in seconds after which the keys are read again. */
const REFRESH_AFTER = { min: 10, max: 24 * 60 * 60 };

/** Time in milliseconds for which the keys are used after they should have been read again. */
const KEYS_OVERDUE = 10_000;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Applies the answers to GetKeys and WatchRevocations to the state of a verifier. */
export class Follower {
  /** Cursor of the last answer, for the next request. */
  cursor: Uint8Array = new Uint8Array();
  readonly #local: Local;
  /** Time at which an entry was left out because there were too many. */
  #missedAt: number | undefined;

  constructor(local: Local) {
    this.#local = local;
  }

  /**
   * Applies an answer to GetKeys. Returns the time in milliseconds after which to call it again, or
   * `undefined` if the key set is malformed.
   */
  applyKeys(answer: Keys, times: Times): number | undefined {
    const keys = parseKeySet(answer.jwks);
    if (keys === undefined) return undefined;
    if (answer.nowMs !== undefined) this.#local.time.observe(answer.nowMs, times, RETENTION);
    this.#local.accessLife = Math.min(answer.accessLife, RETENTION / 1000 - 60);
    // Before the revoked keys are removed: with only such keys, the service does not use HS256.
    this.#local.isLeftToService = keys.size === 0;
    this.#local.keys.replace(keys);
    const seconds = Math.max(answer.refreshAfter, REFRESH_AFTER.min);
    const refreshAfter = 1000 * Math.min(seconds, REFRESH_AFTER.max);
    this.#local.keysUntil = times.sentAt + refreshAfter + KEYS_OVERDUE;
    return refreshAfter;
  }

  /** Applies a refusal of GetKeys to a client that is not trusted. */
  applyNotPermitted(): void {
    if (!this.#local.keys.isLoaded) this.#local.isLeftToService = true;
  }

  /** Applies an answer to WatchRevocations. Returns `true` if it revokes a further key. */
  applyRevocations(answer: Revocations, { sentAt, receivedAt }: Times): boolean {
    this.#local.time.observe(answer.nowMs, { sentAt, receivedAt }, RETENTION);
    let isKeyRevoked = false;
    for (const row of answer.entries) {
      const revoked = this.#applyRow(row, receivedAt);
      if (revoked === undefined) this.#local.hasUnknownEntry = true;
      else isKeyRevoked ||= revoked;
    }
    if (isKeyRevoked) this.#local.clearCache();
    if (this.#missedAt !== undefined) {
      this.#local.setIncomplete();
    } else if (answer.more === 0) {
      // The age counts from the time of sending.
      this.#local.setComplete(sentAt - answer.staleMs);
    }
    this.cursor = answer.cursor.length > MAX_CURSOR ? new Uint8Array() : answer.cursor;
    return isKeyRevoked;
  }

  /**
   * Removes what has expired. Requests all revocations again if some were left out because there
   * were too many, and there is space now.
   */
  expire(now: number): void {
    const { revocations } = this.#local;
    revocations.expire(now);
    const isDue = this.#missedAt !== undefined && now - this.#missedAt >= RETRY_ALL_AFTER;
    if (!isDue || revocations.isFull) return;
    this.#missedAt = undefined;
    this.cursor = new Uint8Array();
  }

  /**
   * Returns `true` if the row revokes a key that was not revoked before, and `undefined` if the row
   * is not understood.
   */
  #applyRow({ kind, id, before }: RevocationsEntriesRow, now: number): boolean | undefined {
    const { keys, revocations } = this.#local;
    switch (kind) {
      case 1:
      case 2:
        if (id.length !== 16) return undefined;
        if (!revocations.add(id, now)) this.#missedAt ??= now;
        return false;
      case 3:
        if (id.length !== 0) return undefined;
        revocations.addAll(before, now);
        return false;
      case 4: {
        // A longer kid names no key that this verifier accepts.
        if (id.length > MAX_KID) return false;
        const kid = text(id);
        return kid ? keys.revoke(kid) : undefined;
      }
      default:
        return undefined;
    }
  }
}

function text(id: Uint8Array): string | undefined {
  try {
    return utf8.decode(id);
  } catch {
    return undefined;
  }
}
