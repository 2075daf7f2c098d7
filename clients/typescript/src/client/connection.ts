import type { Socket } from "node:net";

import { decodeBody } from "../codec/decode.js";
import { encodeFrame, FrameReader } from "../codec/index.js";
import type { Frame } from "../codec/index.js";
import { ErrorCode, LIMITS } from "../generated/errors.js";
import { REPLIES, REQUESTS } from "../generated/messages.js";
import type { ErrorReply, Pong } from "../generated/messages.js";
import { CertificateRejected, describe } from "./connect.js";
import { Pulse } from "./pulse.js";
import { Window } from "./window.js";
import { WriteQueue } from "./write_queue.js";
import type { Queued } from "./write_queue.js";

const ERROR_TYPE = 0x80;
const PONG_TYPE = 0xff;
/** Age in milliseconds after which the reply to an abandoned request is no longer expected. */
const ABANDONED_AFTER = 60_000;
/** Time in milliseconds for which a closing connection waits for the server to close it too. */
const LINGER = 1_000;

/** End of one attempt to execute a request. */
export type AttemptEnd =
  | { kind: "frame"; frame: Frame }
  /** The request was not written completely, so it was not executed. */
  | { kind: "not_sent"; error: Error }
  /** The server rejected the certificate of this client before it read the request. */
  | { kind: "rejected"; error: Error }
  /** The server has reached its limit of connections, and read nothing. */
  | { kind: "busy"; reply: ErrorReply }
  | { kind: "lost"; error: Error; reply?: ErrorReply };

/** Request in flight. It stays one if its call is abandoned, because its id and slot are in use. */
interface Pending extends Queued {
  end(end: AttemptEnd): void;
  abandonedAt: number | undefined;
  readonly slots: "none" | "one" | "hashing";
}

/** Request that was queued on a connection. */
export interface Attempt {
  readonly end: Promise<AttemptEnd>;
  /** Returns `true` if the frame was written completely. */
  written(): boolean;
  /** Declares that nobody awaits the reply. */
  abandon(): void;
}

/** One connection, with its requests in flight. */
export class Connection {
  /** `retired`: no further requests are sent, but replies are still received. */
  state: "open" | "retired" | "closed" = "open";
  /** `true` once the server has answered anything except SHUTTING_DOWN. */
  answered = false;
  /** `true` once the server has answered a request other than a ping of the connection itself. */
  served = false;
  /** BUSY with request id 0, if the server has sent it before anything else. */
  busy: ErrorReply | undefined;
  readonly closed: Promise<void>;

  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  readonly #slots = new Window(LIMITS.maxInFlight);
  readonly #hashingSlots = new Window(LIMITS.maxHashing);
  readonly #reader = new FrameReader();
  readonly #queue: WriteQueue<Pending>;
  readonly #pulse: Pulse;
  readonly #onChange: (connection: Connection, error?: Error) => void;
  readonly #onAnswer: () => void;
  #resolveClosed: () => void = () => {};
  #error: Error | undefined;
  #lastId = 0;

  /**
   * `onChange` is called when the connection accepts no more requests, and when it is closed.
   * `onAnswer` is called for the first answer.
   */
  constructor(
    socket: Socket,
    onChange: (connection: Connection, error?: Error) => void,
    onAnswer: () => void,
  ) {
    this.#socket = socket;
    this.#onChange = onChange;
    this.#onAnswer = onAnswer;
    this.#queue = new WriteQueue(socket);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#pulse = new Pulse({
      isAwaited: () => this.#isAwaited(),
      canPing: () => this.state === "open" && !this.#slots.isFull,
      ping: () => void this.ping(),
      lost: (error) => this.#close(error),
    });
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => {
      this.#error ??= describe(error);
    });
    socket.on("end", () => this.#close(new Error("the server closed the connection")));
    socket.on("close", () => this.#close(new Error("the server closed the connection")));
  }

  get isFull(): boolean {
    return this.#slots.isFull;
  }

  /**
   * Waits for the slots of a request, which `send` then uses. Returns `false` if the connection
   * accepts no more requests, or `cancelled` was resolved first.
   */
  async acquire(hashing: boolean, cancelled: Promise<unknown>): Promise<boolean> {
    if (this.#slots.isFull) this.#retireIfStuck();
    // First, so that a request that waits for it holds up no other.
    if (hashing && !(await this.#hashingSlots.acquire(cancelled))) return false;
    if (await this.#slots.acquire(cancelled)) return true;
    if (hashing) this.#hashingSlots.release();
    return false;
  }

  /** Frees slots that `acquire` has taken and `send` has not used. */
  release(hashing: boolean): void {
    this.#slots.release();
    if (hashing) this.#hashingSlots.release();
  }

  /**
   * Queues a request, for which `acquire` has taken the slots. Returns `undefined` if the
   * connection accepts no more requests; the slots are then free again.
   */
  send(encode: (id: number) => Buffer, hashing: boolean): Attempt | undefined {
    if (this.state !== "open") {
      this.release(hashing);
      return undefined;
    }
    try {
      return this.#send(encode, hashing ? "hashing" : "one");
    } catch (error) {
      this.release(hashing);
      throw error;
    }
  }

  /** Sends a ping that nobody has to wait for. Returns `true` when the server has answered it. */
  async ping(): Promise<boolean> {
    if (this.state !== "open") return false;
    const attempt = this.#send((id) => encodeFrame(REQUESTS.Ping, id, {}), "none");
    attempt.abandon();
    const end = await attempt.end;
    return end.kind === "frame";
  }

  /** Stops sending requests, and closes the connection when it has received the replies. */
  retire(): void {
    if (this.state !== "open") return;
    this.state = "retired";
    this.#slots.close();
    this.#hashingSlots.close();
    const error = new Error("the server is shutting down");
    for (const pending of this.#queue.takeUnsent()) {
      this.#pending.delete(pending.id);
      pending.end({ kind: "not_sent", error });
    }
    this.#onChange(this);
    this.#closeIfDone();
  }

  /** Closes the connection without waiting for replies. */
  abort(): void {
    this.#close(new Error("the client closed the connection"));
  }

  #send(encode: (id: number) => Buffer, slots: Pending["slots"]): Attempt {
    const id = this.#freeId();
    const frame = encode(id);
    this.#lastId = id;
    let end: (end: AttemptEnd) => void = () => {};
    const ended = new Promise<AttemptEnd>((resolve) => {
      end = resolve;
    });
    const pending: Pending = { id, frame, end, slots, written: false, abandonedAt: undefined };
    const wasAwaited = this.#isAwaited();
    this.#pending.set(id, pending);
    // Only now, since the next ping depends on whether a reply is awaited.
    if (!wasAwaited) this.#pulse.beginsToWait();
    this.#pulse.sends();
    this.#queue.push(pending);
    return {
      end: ended,
      written: () => pending.written,
      abandon: () => {
        pending.abandonedAt = performance.now();
        this.#closeIfDone();
      },
    };
  }

  /** Returns the next id that no request in flight uses. */
  #freeId(): number {
    let id = (this.#lastId + 1) >>> 0;
    while (id === 0 || this.#pending.has(id)) id = (id + 1) >>> 0;
    return id;
  }

  #read(chunk: Buffer): void {
    this.#pulse.receives();
    try {
      for (const frame of this.#reader.push(chunk)) {
        if (this.state === "closed") return;
        if (frame.id === 0) this.#connectionFrame(frame);
        else this.#deliver(frame);
      }
    } catch (error) {
      this.#close(error as Error);
    }
  }

  #deliver(frame: Frame): void {
    const pending = this.#pending.get(frame.id);
    if (pending === undefined) return;
    this.#pending.delete(frame.id);
    if (pending.slots !== "none") this.release(pending.slots === "hashing");
    const isShuttingDown =
      frame.type === ERROR_TYPE && errorReply(frame)?.code === ErrorCode.SHUTTING_DOWN;
    if (!isShuttingDown) {
      if (!this.answered) this.#onAnswer();
      this.answered = true;
      if (pending.slots !== "none") this.#serves();
    }
    if (frame.type === PONG_TYPE) this.#adoptLimits(frame);
    pending.end({ kind: "frame", frame });
    this.#closeIfDone();
  }

  /** Records the first answer to a request. */
  #serves(): void {
    if (this.served) return;
    this.served = true;
    // The reply states the limits of the server. Not earlier: BUSY with id 0 means that nothing was
    // done only if it comes before any reply.
    void this.ping();
  }

  /** Handles a frame with request id 0: an error concerns the connection itself. */
  #connectionFrame(frame: Frame): void {
    if (frame.type !== ERROR_TYPE) return;
    const reply = errorReply(frame);
    if (reply?.code === ErrorCode.SHUTTING_DOWN) {
      this.retire();
      return;
    }
    if (reply?.code === ErrorCode.BUSY && !this.answered) this.busy = reply;
    const text = reply === undefined ? "an error that cannot be read" : reply.message;
    this.#close(new Error(`the server closed the connection: ${text}`), reply);
  }

  #adoptLimits(frame: Frame): void {
    let pong: Pong;
    try {
      pong = decodeBody(layoutOf(PONG_TYPE), frame.body) as Pong;
    } catch {
      return;
    }
    this.#slots.limit = pong.maxInFlight ?? LIMITS.maxInFlight;
    this.#hashingSlots.limit = pong.maxHashing ?? LIMITS.maxHashing;
    this.#pulse.idleTimeout(1000 * (pong.idleTimeout ?? LIMITS.idleTimeoutMs / 1000));
  }

  /** Retires the connection if abandoned requests would otherwise occupy their slots forever. */
  #retireIfStuck(): void {
    const limit = performance.now() - ABANDONED_AFTER;
    for (const { abandonedAt } of this.#pending.values()) {
      if (abandonedAt !== undefined && abandonedAt < limit) return this.retire();
    }
  }

  #isAwaited(): boolean {
    for (const { abandonedAt } of this.#pending.values()) {
      if (abandonedAt === undefined) return true;
    }
    return false;
  }

  #closeIfDone(): void {
    if (this.state !== "retired" || this.#isAwaited() || this.#socket.writableEnded) return;
    this.#socket.end();
    setTimeout(() => this.abort(), LINGER).unref();
  }

  /** Closes the connection, and reports the outcome of its request to every pending call. */
  #close(reason: Error, reply?: ErrorReply): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#pulse.stop();
    this.#slots.close();
    this.#hashingSlots.close();
    const error = this.#error ?? reason;
    const unsent = new Set(this.#queue.close());
    this.#socket.destroy();
    for (const pending of this.#pending.values()) {
      pending.end(this.#endOf(pending, unsent, error, reply));
    }
    this.#pending.clear();
    this.#onChange(this, error);
    this.#resolveClosed();
  }

  #endOf(
    pending: Pending,
    unsent: Set<Pending>,
    error: Error,
    reply: ErrorReply | undefined,
  ): AttemptEnd {
    // A server reads no request before it has accepted the client's certificate.
    if (error instanceof CertificateRejected && !this.answered) return { kind: "rejected", error };
    if (this.busy !== undefined) return { kind: "busy", reply: this.busy };
    if (unsent.has(pending)) return { kind: "not_sent", error };
    return reply === undefined ? { kind: "lost", error } : { kind: "lost", error, reply };
  }
}

function layoutOf(type: number) {
  const layout = REPLIES.get(type);
  if (layout === undefined) throw new Error(`no layout of the type ${type}`);
  return layout;
}

/** Decodes an error reply. Returns `undefined` if it is malformed. */
function errorReply(frame: Frame): ErrorReply | undefined {
  try {
    return decodeBody(layoutOf(ERROR_TYPE), frame.body) as unknown as ErrorReply;
  } catch {
    return undefined;
  }
}
