import { encodeFrame } from "../codec/encode.js";
import { EncodeError } from "../codec/error.js";
import type { Fields, RequestLayout } from "../codec/layout.js";
import { InvalidRequestError, UserServiceError } from "../errors.js";
import { onAbort } from "./abort.js";
import type { Attempt } from "./connection.js";
import type { Link } from "./link.js";

/**
 * Time after the first sending during which RefreshToken is repeated: the 30 s of the protocol,
 * less a margin for the network. Later, the server would treat the token as stolen.
 */
const REPEAT_REFRESH_WITHIN = 25_000;

/** Parameters of a call. */
export interface CallPlan {
  layout: RequestLayout;
  fields: Fields;
  /** Common tags except the deadline. */
  common: Fields;
  deadlineMs: number;
  signal: AbortSignal | undefined;
  /** If `false`, the call fails as soon as no address can be connected to. */
  waitForServer: boolean;
  /** Time after which the request is also sent to another node; `undefined` if never. */
  hedgeAfterMs: number | undefined;
  /** Node that is used if it is connected. */
  prefer?: Link | undefined;
  /** Number of times that the request is sent at most if the answer is BUSY. */
  busyAttempts: number;
}

/** What the attempts of one request share, also if two nodes are asked at the same time. */
interface Shared {
  readonly startedAt: number;
  /** Nodes that are avoided because an attempt there failed or is late. */
  readonly avoid: Set<Link>;
  /** Nodes that have been asked, and have not answered. */
  readonly asked: Set<Link>;
  /** Number of attempts that were answered with BUSY. */
  busy: number;
}

/** One call in progress: its deadline, and what is known about its attempts. */
export class Call {
  readonly plan: CallPlan;
  readonly shared: Shared;
  /** Resolved when the deadline has passed or the signal was aborted. */
  readonly ended: Promise<void>;
  readonly startedAt = performance.now();
  /** Number of attempts that may have been executed. */
  lost = 0;

  readonly #deadline: number;
  readonly #hashing: boolean;
  #attempts: Attempt[] = [];
  #firstSentAt: number | undefined;
  #lostError: UserServiceError | undefined;
  #lastError: UserServiceError | undefined;
  #end: () => void = () => {};
  #unlisten: () => void = () => {};
  #timer: NodeJS.Timeout;
  #isOver = false;

  constructor(plan: CallPlan, shared?: Shared) {
    this.plan = plan;
    this.shared = shared ?? {
      startedAt: performance.now(),
      avoid: new Set(),
      asked: new Set(),
      busy: 0,
    };
    this.#deadline = this.shared.startedAt + plan.deadlineMs;
    this.#hashing = hashes(plan.layout, plan.fields);
    this.ended = new Promise((resolve) => {
      this.#end = () => {
        this.#isOver = true;
        resolve();
      };
    });
    this.#timer = setTimeout(this.#end, this.remaining);
    if (plan.signal?.aborted) this.#end();
    else if (plan.signal) this.#unlisten = onAbort(plan.signal, this.#end);
  }

  /** Returns a call for the same request and deadline, which asks another node meanwhile. */
  fork(): Call {
    return new Call(this.plan, this.shared);
  }

  /** Nodes that are avoided because an attempt there failed or is late. */
  get avoid(): Set<Link> {
    return this.shared.avoid;
  }

  /** `true` if the deadline has passed or the signal was aborted. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** `true` if the request hashes a password. */
  get hashing(): boolean {
    return this.#hashing;
  }

  /** Time until the deadline in milliseconds. */
  get remaining(): number {
    return this.#deadline - performance.now();
  }

  /** `true` if the request may be sent again although an attempt may have been executed. */
  get isRepeatable(): boolean {
    if (this.plan.common["idempotencyKey"] !== undefined) return true;
    if (this.plan.layout.retry === "safe") return true;
    const first = this.#firstSentAt ?? performance.now();
    return (
      this.plan.layout.retry === "safe_within_30_s" &&
      performance.now() - first < REPEAT_REFRESH_WITHIN
    );
  }

  /** Encodes the request with the time that remains. Throws an InvalidRequestError. */
  encode(id: number): Buffer {
    const { layout, fields, common } = this.plan;
    const remaining = this.remaining;
    // The client waits a little longer than the deadline that it sends.
    const deadlineMs = Math.max(1, Math.floor(remaining - Math.min(50, remaining / 20)));
    try {
      return encodeFrame(layout, id, fields, { ...common, deadlineMs });
    } catch (error) {
      throw error instanceof EncodeError ? new InvalidRequestError(error) : error;
    }
  }

  sent(attempt: Attempt): void {
    this.#attempts.push(attempt);
    this.#firstSentAt ??= performance.now();
  }

  answered(attempt: Attempt): void {
    this.#attempts = this.#attempts.filter((other) => other !== attempt);
  }

  /** Records the error of an attempt after which the request is sent again. */
  failed(error: UserServiceError): void {
    this.#lastError = error;
    if (error.outcome === "unknown") {
      this.#lostError ??= error;
      this.lost += 1;
    }
  }

  /** Waits, but not past the end of the call. */
  async sleep(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const slept = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([slept, this.ended]);
    clearTimeout(timer);
  }

  /**
   * Returns the error with which the call ends instead of `error`: that of an earlier attempt that
   * may have been executed, if the request was not executed by the last one.
   */
  final(error: UserServiceError): UserServiceError {
    if (this.#lostError === undefined || error.outcome !== "not_done") return error;
    return new UserServiceError(error.kind, "unknown", error.message, { cause: this.#lostError });
  }

  /** Returns the error of a call after its deadline, or after the abort of its signal. */
  endError(): UserServiceError {
    const isWritten = this.#attempts.some((attempt) => attempt.written());
    const outcome = isWritten || this.#lostError !== undefined ? "unknown" : "not_done";
    const { signal, deadlineMs } = this.plan;
    if (signal?.aborted) {
      return new UserServiceError("aborted", outcome, "the call was aborted", {
        cause: signal.reason,
      });
    }
    const message = `no reply within the deadline of ${deadlineMs} ms`;
    // The last error says more than the deadline.
    const last = this.#lastError;
    if (outcome === "not_done" && last !== undefined) return last;
    return new UserServiceError("deadline", outcome, message, { cause: last });
  }

  /** Ends the call. Replies to its requests in flight are discarded. */
  finish(): void {
    clearTimeout(this.#timer);
    this.#unlisten();
    this.#end();
    for (const attempt of this.#attempts) attempt.abandon();
  }
}

function hashes(layout: RequestLayout, fields: Fields): boolean {
  if (typeof layout.hashes === "boolean") return layout.hashes;
  return layout.hashes.some((key) => fields[key] !== undefined);
}
