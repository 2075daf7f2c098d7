/**
 * Limit of requests in flight, which the server can change while it is in use. Waiters are served
 * in the order of their arrival.
 */
export class Window {
  #limit: number;
  #used = 0;
  #closed = false;
  readonly #waiting = new Set<(taken: boolean) => void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get limit(): number {
    return this.#limit;
  }

  set limit(limit: number) {
    this.#limit = Math.max(1, limit);
    this.#admit();
  }

  get isFull(): boolean {
    return this.#used >= this.#limit;
  }

  /** Number of waiters. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes a slot if one is free and nobody waits for it. */
  tryAcquire(): boolean {
    if (this.#closed || this.isFull) return false;
    this.#used += 1;
    return true;
  }

  /**
   * Waits for a slot. The result is `false` if the window was closed, or `cancelled` was resolved
   * first.
   */
  acquire(cancelled: Promise<unknown>): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    if (this.tryAcquire()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const admit = (taken: boolean) => resolve(taken);
      this.#waiting.add(admit);
      void cancelled.then(() => {
        if (this.#waiting.delete(admit)) resolve(false);
      });
    });
  }

  release(): void {
    this.#used -= 1;
    this.#admit();
  }

  /** Makes every wait end with `false`. */
  close(): void {
    this.#closed = true;
    for (const admit of this.#waiting) admit(false);
    this.#waiting.clear();
  }

  #admit(): void {
    for (const admit of this.#waiting) {
      if (this.isFull) return;
      this.#used += 1;
      this.#waiting.delete(admit);
      admit(true);
    }
  }
}
