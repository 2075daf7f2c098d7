import type { Poll, UserServiceClient } from "../client/client.js";
import type { Connection } from "../client/connection.js";
import type { Link } from "../client/link.js";
import { isShuttingDown } from "../client/nodes.js";
import { ErrorCode, ServiceError, UserServiceError } from "../errors.js";
import { Outage } from "../log.js";
import type { Log } from "../log.js";
import { Follower } from "./follower.js";
import type { Local } from "./local.js";

// All times are in milliseconds.

/** Time after the waiting time of a WatchRevocations in which one of the nodes must answer. */
const WATCH_TIMEOUT = 2_000;
/** Time after the waiting time for which a node that answers late is still not slow. */
const LATE = 100;
/** Time limit of GetKeys. */
const KEYS_TIMEOUT = 5_000;
/** Shortest time between two calls of GetKeys because of a token. */
const SURPRISE_INTERVAL = 10_000;
/** Shortest time between two calls of GetKeys because another connection is followed. */
const MOVED_INTERVAL = 1_000;
/** Shortest and longest wait after a failed call. */
const BACKOFF = { min: 50, max: 500 };
/** Number of failures in a row after which BUSY is logged: a few seconds. */
const BUSY_FAILURES = 10;
/** Shortest time between two requests if the first brought nothing, so that a server that does not
 * wait is not asked in a busy loop. */
const MIN_INTERVAL = 10;

/** Calls GetKeys and WatchRevocations, at most one of each at a time. */
export class Task {
  readonly #client: UserServiceClient;
  readonly #local: Local;
  readonly #follower: Follower;
  readonly #onAnswer: () => void;
  readonly #stopped = new AbortController();
  #keysTimer: NodeJS.Timeout | undefined;
  #keysDue = Infinity;
  #areKeysInFlight = false;
  #keysFailures = 0;
  #watchFailures = 0;
  #isWatching = false;
  /** Earliest time of the next GetKeys because of a token. */
  #surpriseAfter = 0;
  #keysAskedAt = 0;
  /** Connection that the current keys came from. */
  #keysFrom: Connection | undefined;
  /** Source of the last revocations. Its node is asked again. */
  #followed: { link: Link; connection: Connection } | undefined;
  #errors: { keys?: string | undefined; watch?: string | undefined } = {};
  readonly #outages: { keys: Outage; watch: Outage };

  /** `onAnswer` is called after every answer. */
  constructor(client: UserServiceClient, local: Local, log: Log, onAnswer: () => void) {
    this.#client = client;
    this.#local = local;
    this.#outages = { keys: new Outage(log), watch: new Outage(log) };
    this.#follower = new Follower(local);
    this.#onAnswer = onAnswer;
    this.#keysBy(0);
  }

  get #isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  /** Error of the last call for keys or revocations, if one of them failed. */
  get lastError(): string | undefined {
    return this.#errors.keys ?? this.#errors.watch;
  }

  stop(): void {
    // A request that the server may answer late would delay the end of the connection.
    this.#stopped.abort();
    clearTimeout(this.#keysTimer);
  }

  /** Makes GetKeys due because of a token, at most once in 10 s. */
  surprise(): void {
    const now = performance.now();
    if (this.#surpriseAfter > now + SURPRISE_INTERVAL) return;
    const due = Math.max(now, this.#surpriseAfter);
    this.#surpriseAfter = due + SURPRISE_INTERVAL;
    this.#keysBy(due);
  }

  /** Makes GetKeys due at this time, if it is not due earlier. */
  #keysBy(due: number): void {
    if (this.#isStopped || due >= this.#keysDue) return;
    this.#keysDue = due;
    if (this.#areKeysInFlight) return;
    clearTimeout(this.#keysTimer);
    const wait = Math.max(0, due - performance.now());
    this.#keysTimer = setTimeout(() => void this.#getKeys(), wait).unref();
  }

  async #getKeys(): Promise<void> {
    this.#areKeysInFlight = true;
    this.#keysDue = Infinity;
    this.#keysAskedAt = performance.now();
    let wait: number;
    try {
      const { reply, sentAt, connection } = await this.#client.poll(
        "GetKeys",
        {},
        this.#poll(0, KEYS_TIMEOUT),
      );
      const refreshAfter = this.#follower.applyKeys(reply, {
        sentAt,
        receivedAt: performance.now(),
      });
      this.#keysFrom = connection;
      if (refreshAfter === undefined) throw new Error("the reply to GetKeys contains no JWK Set");
      wait = refreshAfter;
      this.#keysFailures = 0;
      this.#errors.keys = undefined;
      this.#outages.keys.works("the service returns its keys again");
      // The first entries need the keys.
      if (!this.#isWatching) void this.#watch();
    } catch (error) {
      if (isClosed(error)) this.stop();
      if (isNotPermitted(error)) this.#follower.applyNotPermitted();
      wait = backoff(this.#keysFailures);
      this.#keysFailures += 1;
      this.#errors.keys = (error as Error).message;
      this.#logFailure("keys", error);
    }
    this.#areKeysInFlight = false;
    const due = Math.min(this.#keysDue, performance.now() + wait);
    this.#keysDue = Infinity;
    this.#keysBy(due);
    this.#onAnswer();
  }

  #poll(waitMs: number, timeoutMs: number): Poll {
    return { waitMs, timeoutMs, prefer: this.#followed?.link, signal: this.#stopped.signal };
  }

  async #watch(): Promise<void> {
    this.#isWatching = true;
    while (!this.#isStopped) {
      this.#follower.expire(performance.now());
      const delay = await this.#watchOnce();
      this.#onAnswer();
      if (delay > 0) await sleep(delay);
    }
  }

  /** Sends one WatchRevocations. Returns the wait before the next one. */
  async #watchOnce(): Promise<number> {
    const { waitMs } = this.#local.settings;
    const { cursor } = this.#follower;
    try {
      const { reply, sentAt, link, connection } = await this.#client.poll(
        "WatchRevocations",
        { cursor, waitMs },
        this.#poll(waitMs + LATE, waitMs + WATCH_TIMEOUT),
      );
      const receivedAt = performance.now();
      const isKeyRevoked = this.#follower.applyRevocations(reply, { sentAt, receivedAt });
      if (isKeyRevoked) this.#keysBy(receivedAt);
      this.#followed = { link, connection };
      this.#rereadIfMoved();
      this.#watchFailures = 0;
      this.#errors.watch = undefined;
      this.#outages.watch.works("the service returns revocations again");
      const broughtEntries = reply.entries.length > 0 || reply.more !== 0;
      return !broughtEntries && receivedAt - sentAt < MIN_INTERVAL ? MIN_INTERVAL : 0;
    } catch (error) {
      if (isClosed(error)) this.stop();
      this.#errors.watch = (error as Error).message;
      this.#watchFailures += 1;
      this.#logFailure("watch", error);
      // Nothing is wrong with a server that shuts down: the next attempt connects to another one.
      if (isShuttingDown(error) && this.#watchFailures === 1) return 0;
      return backoff(this.#watchFailures - 1);
    }
  }

  /**
   * Logs a failure that the service is asked about every token for. The client logs those of its
   * connections.
   */
  #logFailure(what: "keys" | "watch", error: unknown): void {
    const isAnswer = !(error instanceof UserServiceError) || error instanceof ServiceError;
    if (!isAnswer || isShuttingDown(error)) return;
    // The watch of an earlier verifier of the client ends after its waiting time.
    const isBusy = error instanceof ServiceError && error.code === ErrorCode.BUSY;
    if (isBusy && this.#watchFailures < BUSY_FAILURES) return;
    const subject = what === "keys" ? "its keys" : "revocations";
    this.#outages[what].fails(
      `the service does not return ${subject}, so it is asked about every token: ` +
        (error as Error).message,
    );
  }

  /**
   * Makes GetKeys due if the last revocations came over another connection than the keys: another
   * node, or the same one after a restart, may have other keys.
   */
  #rereadIfMoved(): void {
    if (this.#areKeysInFlight || this.#followed?.connection === this.#keysFrom) return;
    this.#keysBy(Math.max(performance.now(), this.#keysAskedAt + MOVED_INTERVAL));
  }
}

function isNotPermitted(error: unknown): boolean {
  return error instanceof ServiceError && error.code === ErrorCode.NOT_PERMITTED;
}

function isClosed(error: unknown): boolean {
  return error instanceof UserServiceError && error.kind === "closed";
}

/** Returns the wait after this many failures besides the last one. */
function backoff(failures: number): number {
  return Math.min(BACKOFF.max, BACKOFF.min * 2 ** Math.min(failures, 10));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
