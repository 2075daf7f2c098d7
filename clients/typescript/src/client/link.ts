import { parseAddress } from "./address.js";
import type { Address } from "./address.js";
import { connect } from "./connect.js";
import { Connection } from "./connection.js";
import type { Settings } from "./options.js";
import { Outage } from "../log.js";

/** Wait before the second attempt to connect. It doubles with every further one. */
const INITIAL_BACKOFF = 100;
const MAX_BACKOFF = 5_000;
/** Longest wait that a server can demand. A timer with a much longer one would end at once. */
const MAX_RETRY_AFTER = 3_600_000;
/** Wait after a BUSY that states none. */
const RETRY_AFTER = 1_000;

/** State of the connection to one address. */
export interface NodeStatus {
  address: string;
  /** `true` if there is a connection that accepts requests. */
  connected: boolean;
  /** `true` if the node did not answer in time, and has not recovered yet. */
  slow: boolean;
  /** Number of requests in flight. */
  inFlight: number;
  /** Description of the last failed attempt to connect; `undefined` after a success. */
  error: string | undefined;
}

/** The connection to one address, which is established on demand and again after it was lost. */
export class Link {
  readonly text: string;
  readonly address: Address;
  /** `true` from a request without a reply in time until a ping is answered in time. */
  slow = false;
  /** Number of attempts for which this node was chosen, and which have not ended. */
  inFlight = 0;
  /** Error of the last attempt to connect, if it failed. */
  error: Error | undefined;

  readonly #settings: Settings;
  readonly #onChange: () => void;
  readonly #outage: Outage;
  readonly #draining = new Set<Connection>();
  #connection: Connection | undefined;
  #attempt: AbortController | undefined;
  /** Connection that has not answered a probe yet. */
  #probing: Connection | undefined;
  #failures = 0;
  #nextAttempt = 0;
  #closed = false;

  /** `onChange` is called after every attempt to connect, and when a connection ends. */
  constructor(text: string, settings: Settings, onChange: () => void) {
    this.text = text;
    this.address = parseAddress(text);
    this.#settings = settings;
    this.#outage = new Outage(settings.log);
    this.#onChange = onChange;
  }

  /** The connection, if it accepts requests. */
  get current(): Connection | undefined {
    return this.#connection;
  }

  /** `true` if the last attempt to connect failed, and the next one has not begun. */
  get isBackingOff(): boolean {
    return this.error !== undefined && performance.now() < this.#nextAttempt;
  }

  get status(): NodeStatus {
    return {
      address: this.text,
      connected: this.#connection !== undefined,
      slow: this.slow,
      inFlight: this.inFlight,
      error: this.error && reasonOf(this.error),
    };
  }

  /** Begins to connect, after the wait that is due, unless there is a connection or an attempt. */
  ensure(): void {
    if (this.#closed || this.#connection !== undefined || this.#attempt !== undefined) return;
    const attempt = new AbortController();
    this.#attempt = attempt;
    const wait = this.#nextAttempt - performance.now();
    if (wait <= 0) void this.#connect(attempt);
    else setTimeout(() => void this.#connect(attempt), wait).unref();
  }

  /**
   * Pings the node. It counts as slow if it does not answer in time, and as recovered if it does.
   * There is one probe at a time.
   */
  async probe(slowAfterMs: number): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined || this.#probing === connection) return;
    this.#probing = connection;
    const sentAt = performance.now();
    const timer = setTimeout(() => {
      this.slow ||= this.#connection === connection;
    }, slowAfterMs);
    timer.unref();
    const answered = await connection.ping();
    clearTimeout(timer);
    if (answered && performance.now() - sentAt <= slowAfterMs) this.slow = false;
    if (this.#probing === connection) this.#probing = undefined;
  }

  /** Ends every attempt to connect, and returns the connections that are still open. */
  close(): Connection[] {
    this.#closed = true;
    this.#attempt?.abort(new Error("the client was closed"));
    return this.#connection === undefined
      ? [...this.#draining]
      : [this.#connection, ...this.#draining];
  }

  async #connect(attempt: AbortController): Promise<void> {
    if (this.#closed) return;
    const late = new Error(`no connection within ${this.#settings.connectTimeoutMs} ms`);
    const timer = setTimeout(() => attempt.abort(late), this.#settings.connectTimeoutMs);
    try {
      const socket = await connect(this.address, this.#settings.tls?.(), attempt.signal);
      if (this.#closed) {
        socket.destroy();
        return;
      }
      this.error = undefined;
      this.#connection = new Connection(
        socket,
        (connection, error) => this.#changed(connection, error),
        () => this.#outage.works(`the service answers at ${this.text} again`),
      );
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      clearTimeout(timer);
      this.#attempt = undefined;
      this.#onChange();
    }
  }

  #changed(connection: Connection, error: Error | undefined): void {
    if (connection.state === "closed") this.#draining.delete(connection);
    else this.#draining.add(connection);
    if (connection === this.#connection) {
      this.#connection = undefined;
      this.slow = false;
      // A server that accepts a connection and answers nothing counts as a failed attempt.
      if (connection.served) this.#failures = this.#nextAttempt = 0;
      else this.#fail(error, connection.busy && (connection.busy.retryAfterMs ?? RETRY_AFTER));
    }
    this.#onChange();
  }

  #fail(error: Error | undefined, retryAfter?: number): void {
    if (this.#closed) return;
    if (error !== undefined) {
      this.error = error;
      this.#settings.onConnectionError(error, this.text);
      this.#outage.fails(`the service does not answer at ${this.text}: ${reasonOf(error)}`);
    }
    this.#nextAttempt =
      performance.now() +
      (retryAfter === undefined ? backoff(this.#failures) : lengthened(retryAfter));
    this.#failures += 1;
  }
}

/** Node's error for a name with several addresses has no message of its own. */
export function reasonOf(error: Error): string {
  const [first] = error instanceof AggregateError ? (error.errors as Error[]) : [];
  return error.message || first?.message || error.name;
}

/** Wait after this many consecutive failures besides the last one, reduced by up to half. */
export function backoff(failures: number): number {
  const full = Math.min(MAX_BACKOFF, INITIAL_BACKOFF * 2 ** Math.min(failures, 16));
  return full * (1 - Math.random() / 2);
}

/** Wait that a server has stated, with a random time of up to its half added. */
export function lengthened(wait: number): number {
  return Math.min(wait, MAX_RETRY_AFTER) * (1 + Math.random() / 2);
}
