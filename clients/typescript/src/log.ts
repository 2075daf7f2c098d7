/** Function that writes a line to the log of the application. */
export type Log = (message: string) => void;

/** Longest line in the log. */
const MAX_LINE = 500;
/** Shortest time in milliseconds between the beginnings of two outages that are logged. */
const INTERVAL = 10_000;

/** Returns a log that never throws; by default it is `console.warn`, and `false` is none. */
export function logTo(log: Log | false | undefined): Log {
  if (log === false) return () => {};
  // Looked up for each line, so that an application can replace it.
  const write: (line: string) => unknown = log ?? ((line) => console.warn(line));
  return (message) => {
    // A text of the server must not look like several lines.
    const line = `user-service-client: ${message}`.replaceAll(/\p{C}+/gu, " ").slice(0, MAX_LINE);
    ignoreErrors(() => write(line));
  };
}

/** Calls a function of the application. Its errors must not stop the client. */
export function ignoreErrors(call: () => unknown): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch(() => {});
  } catch {
    // See above.
  }
}

/** One line when something stops working, and one when it works again. */
export class Outage {
  readonly #log: Log;
  #since: number | undefined;
  #failures = 0;
  #isLogged = false;
  #loggedAt = -Infinity;

  constructor(log: Log) {
    this.#log = log;
  }

  /** `true` from a failure to the next success. */
  get isOn(): boolean {
    return this.#since !== undefined;
  }

  /** Records a failure. Outages that follow each other quickly are not all logged. */
  fails(message: string): void {
    const now = performance.now();
    this.#since ??= now;
    this.#failures += 1;
    if (this.#isLogged || now - this.#loggedAt < INTERVAL) return;
    this.#isLogged = true;
    this.#loggedAt = now;
    this.#log(message);
  }

  /** Records a success. `message` is what works again. */
  works(message: string): void {
    if (this.#since === undefined) return;
    const seconds = ((performance.now() - this.#since) / 1000).toFixed(1);
    const failures = this.#failures;
    this.#since = undefined;
    this.#failures = 0;
    if (!this.#isLogged) return;
    this.#isLogged = false;
    this.#log(`${message} after ${seconds} s (failures: ${failures})`);
  }
}
