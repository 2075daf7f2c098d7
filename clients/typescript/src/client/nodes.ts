import { ErrorCode } from "../generated/errors.js";
import { ServiceError, UserServiceError } from "../errors.js";
import { CertificateRejected } from "./connect.js";
import type { Call } from "./call.js";
import type { Connection } from "./connection.js";
import { Link, reasonOf } from "./link.js";
import type { Settings } from "./options.js";

/** Interval in milliseconds at which every node is pinged, if there are several. */
const PROBE_INTERVAL = 1_000;

/** Connection that was chosen for an attempt. */
export interface Chosen {
  link: Link;
  connection: Connection;
}

/** The connections to all nodes. */
export class Nodes {
  readonly links: Link[];
  #isClosed = false;
  /** Random, so that clients that send few requests do not all use the first node. */
  #next = Math.floor(Math.random() * 1_000_000);
  #changed = deferred();
  #probes: NodeJS.Timeout | undefined;
  readonly #slowAfterMs: number;

  constructor(settings: Settings) {
    this.links = settings.addresses.map(
      (address) =>
        new Link(address, settings, () => {
          this.#notify();
        }),
    );
    this.#slowAfterMs = settings.slowAfterMs;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Returns a connection for the next attempt of a call, and counts the attempt. Connects if there
   * is no connection. Returns `undefined` if the call is over. Throws an error if the call should
   * not wait any longer.
   */
  async choose(call: Call): Promise<Chosen | undefined> {
    this.#startProbes();
    while (!call.isOver) {
      if (this.#isClosed) throw new UserServiceError("closed", "not_done", "the client is closed");
      const best = this.#best(call);
      if (best !== undefined) return begin(best);
      this.#throwIfHopeless(call);
      const changed = this.#changed.promise;
      for (const link of this.links) link.ensure();
      await Promise.race([changed, call.ended]);
      this.#recordError(call);
    }
    return undefined;
  }

  /** Returns the best node that is connected, without those that the call avoids if possible. */
  #best(call: Call): Chosen | undefined {
    const first = this.#next++;
    let best: Chosen | undefined;
    let bestRank = Infinity;
    this.links.forEach((_, index) => {
      const link = this.links[(first + index) % this.links.length];
      const connection = link?.current;
      if (link === undefined || connection === undefined) return;
      const rank =
        (call.avoid.has(link) ? 1e9 : 0) +
        (link === call.plan.prefer ? -1e8 : 0) +
        (link.slow ? 1e7 : 0) +
        (connection.isFull ? 1e6 : 0) +
        link.inFlight;
      if (rank < bestRank) {
        bestRank = rank;
        best = { link, connection };
      }
    });
    return best;
  }

  /** Returns `true` if there is a healthy node that the call has not tried. */
  hasOther(call: Call): boolean {
    const best = this.#best(call);
    return best !== undefined && isHealthy(best) && !call.avoid.has(best.link);
  }

  /**
   * Returns a healthy node that the call can ask while others have not answered, if there is one,
   * and counts an attempt on it. A node that was busy before may be asked again.
   */
  other(call: Call): Chosen | undefined {
    const best = this.#best(call);
    if (best === undefined || !isHealthy(best)) return undefined;
    return call.shared.asked.has(best.link) ? undefined : begin(best);
  }

  /** Returns all open connections, and ends every attempt to connect. */
  close(): Connection[] {
    this.#isClosed = true;
    clearInterval(this.#probes);
    const open = this.links.flatMap((link) => link.close());
    this.#notify();
    return open;
  }

  /** With several nodes, keeps a connection to each, and notices which ones answer late. */
  #startProbes(): void {
    if (this.#probes !== undefined || this.links.length < 2 || this.#isClosed) return;
    const probe = () => {
      for (const link of this.links) {
        if (link.current === undefined) link.ensure();
        else void link.probe(this.#slowAfterMs);
      }
    };
    probe();
    this.#probes = setInterval(probe, PROBE_INTERVAL).unref();
  }

  #notify(): void {
    const { resolve } = this.#changed;
    this.#changed = deferred();
    resolve();
  }

  /** Throws if every node has rejected this client, or none is reachable and it does not wait. */
  #throwIfHopeless(call: Call): void {
    const errors = this.links.map((link) => link.error);
    const rejected = errors.find((error) => error instanceof CertificateRejected);
    const all = errors.every((error) => error instanceof CertificateRejected);
    if (rejected !== undefined && all) {
      throw new UserServiceError("certificate", "not_done", rejected.message, { cause: rejected });
    }
    const error = errors.find((error) => error !== undefined);
    if (error !== undefined && !call.plan.waitForServer) {
      if (this.links.every((link) => link.isBackingOff)) throw connectError(error);
    }
  }

  #recordError(call: Call): void {
    const error = this.links.find((link) => link.error !== undefined)?.error;
    if (error !== undefined) call.failed(connectError(error));
  }
}

function isHealthy({ link, connection }: Chosen): boolean {
  return !link.slow && !connection.isFull;
}

/** Counts an attempt at once, so that calls of the same moment are distributed. */
function begin(chosen: Chosen): Chosen {
  chosen.link.inFlight += 1;
  return chosen;
}

function connectError(error: Error): UserServiceError {
  return new UserServiceError("connect", "not_done", `cannot connect: ${reasonOf(error)}`, {
    cause: error,
  });
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Returns `true` for SHUTTING_DOWN, after which nothing is wrong with the service. */
export function isShuttingDown(error: unknown): boolean {
  return error instanceof ServiceError && error.code === ErrorCode.SHUTTING_DOWN;
}
