import { LIMITS } from "../generated/errors.js";

/** Time without a received frame after which a ping is sent while a reply is awaited. */
const PING_AWAITING_AFTER = 2_000;
/** Time limit for the reply to a ping. Together with the time above, it is shorter than the default
 * deadline of a call, so that a call that may be repeated succeeds on another node. */
const PONG_TIMEOUT = 5_000;
/** Shortest interval of pings, whatever the server states. */
const MIN_INTERVAL = 200;
/** Time without a frame after which a server that reads no pings is given up: twice a deadline. */
const SILENT_AFTER = 2 * LIMITS.maxDeadlineMs;

/** What a pulse needs of its connection. */
export interface Pulsing {
  /** Returns `true` if a call awaits a reply. */
  isAwaited(): boolean;
  /** Returns `true` if the server reads further requests. */
  canPing(): boolean;
  ping(): void;
  lost(error: Error): void;
}

/**
 * Pings of a connection: so that the server does not close it as idle, and to notice a server that
 * has stopped responding. All times are in milliseconds of the monotonic clock.
 */
export class Pulse {
  readonly #connection: Pulsing;
  #pingAfter: number = LIMITS.pingAfterMs;
  #lastSent = performance.now();
  #quietSince = performance.now();
  #pingedAt: number | undefined;
  #timer: NodeJS.Timeout;
  #stopped = false;

  constructor(connection: Pulsing) {
    this.#connection = connection;
    this.#timer = this.#schedule();
  }

  /** Adopts the idle timeout that the server has stated. */
  idleTimeout(timeout: number): void {
    this.#pingAfter = Math.min(LIMITS.pingAfterMs, Math.max(MIN_INTERVAL, timeout / 2));
    this.#restart();
  }

  sends(): void {
    this.#lastSent = performance.now();
  }

  /** Records that a call awaits a reply, and none did before. */
  beginsToWait(): void {
    this.#quietSince = performance.now();
    if (this.#pingAfter > PING_AWAITING_AFTER) this.#restart();
  }

  receives(): void {
    this.#quietSince = performance.now();
    this.#pingedAt = undefined;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #restart(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#schedule();
  }

  #schedule(): NodeJS.Timeout {
    const isAwaited = this.#connection.isAwaited();
    const delay = isAwaited ? Math.min(this.#pingAfter, PING_AWAITING_AFTER) : this.#pingAfter;
    const now = performance.now();
    const idle = this.#lastSent + this.#pingAfter - now;
    return setTimeout(() => this.#tick(), Math.max(1, Math.min(delay, idle))).unref();
  }

  #tick(): void {
    const now = performance.now();
    const isAwaited = this.#connection.isAwaited();
    const quiet = now - this.#quietSince;
    if (this.#pingedAt !== undefined && now - this.#pingedAt >= PONG_TIMEOUT) {
      return this.#connection.lost(new Error("the server stopped responding"));
    }
    if (isAwaited && quiet >= SILENT_AFTER) {
      return this.#connection.lost(new Error("the server stopped responding"));
    }
    const isIdle = now - this.#lastSent >= this.#pingAfter - 1;
    const isQuiet = isAwaited && quiet >= PING_AWAITING_AFTER && this.#pingedAt === undefined;
    if ((isIdle || isQuiet) && this.#connection.canPing()) {
      this.#pingedAt ??= now;
      this.#connection.ping();
    }
    if (!this.#stopped) this.#restart();
  }
}
