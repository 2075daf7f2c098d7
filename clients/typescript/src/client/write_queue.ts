import type { Socket } from "node:net";

/** Most bytes that are passed to the socket in one write. */
const MAX_BATCH = 64 * 1024;

/** Frame of a request that is to be written. */
export interface Queued {
  readonly id: number;
  readonly frame: Buffer;
  /** `true` once the operating system has taken the whole frame. */
  written: boolean;
}

/**
 * Frames that are to be written. The frames that were queued at the same time share one write, and
 * the next write begins when the last one has ended, so that it is known which frames were written.
 */
export class WriteQueue<Q extends Queued> {
  readonly #socket: Socket;
  #waiting: Q[] = [];
  #writing: Q[] = [];
  #scheduled = false;
  #closed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  push(queued: Q): void {
    this.#waiting.push(queued);
    if (this.#scheduled || this.#writing.length > 0) return;
    this.#scheduled = true;
    // Other calls of the same turn of the event loop queue their frames first.
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#write();
    });
  }

  /** Removes and returns the frames that were not yet passed to the socket. */
  takeUnsent(): Q[] {
    return this.#waiting.splice(0);
  }

  /** Stops writing. Returns the frames that were certainly not written completely. */
  close(): Q[] {
    this.#closed = true;
    // Of a write that has not ended, the frames before the last one may have been written.
    const last = this.#writing.at(-1);
    return last === undefined ? this.#waiting : [...this.#waiting, last];
  }

  #write(): void {
    if (this.#closed || this.#writing.length > 0) return;
    let size = 0;
    const count = this.#waiting.findIndex(({ frame }) => (size += frame.length) > MAX_BATCH);
    this.#writing = this.#waiting.splice(0, count === -1 ? this.#waiting.length : count || 1);
    const frames = this.#writing.map(({ frame }) => frame);
    const [first] = frames;
    if (first === undefined) return;
    const bytes = frames.length === 1 ? first : Buffer.concat(frames);
    this.#socket.write(bytes, (error) => {
      // The frames contain secrets.
      for (const frame of frames) frame.fill(0);
      bytes.fill(0);
      if (error) return;
      for (const queued of this.#writing) queued.written = true;
      this.#writing = [];
      this.#write();
    });
  }
}
