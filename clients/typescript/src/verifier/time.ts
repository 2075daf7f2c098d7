/** Time by which `iat` may be ahead of the time of the service, in milliseconds. */
const MAX_AHEAD = 60_000;

/** Times of a request and its answer by the monotonic clock, in milliseconds. */
export interface Times {
  readonly sentAt: number;
  readonly receivedAt: number;
}

/**
 * The time of the service, as an offset from the monotonic clock.
 *
 * An answer with the time `now_ms` was written between the sending of the request and its arrival.
 * Tokens expire by the upper bound of the time of the service that follows from it: a delay makes a
 * token expire earlier by that much, never later. The bound is that of the latest answer.
 *
 * If the service's clock is set back, tokens that had expired would become valid again, possibly
 * after the revocations that concern them were removed. So the greatest lower bound is kept as a
 * floor. A token that has expired by only one of the two is not decided here, so the service is
 * asked. The floor is dropped when every token that was issued before the change has expired by the
 * new clock too, and also after the service's clock was behind it for the retention by the monotonic
 * clock, without interruption. By then, the tokens of before the clock was ahead have expired. Those
 * that were issued in the meantime are ahead of the new clock, and the service repeats their
 * entries.
 */
export class ServiceTime {
  /** Upper bound by the latest answer: offset in milliseconds. Before it, no token is valid. */
  #latest = Infinity;
  /** The larger one of `#latest` and the floor. */
  #bound = Infinity;
  #floor: number | undefined;
  /**
   * Times of the service and of the monotonic clock at which the floor is dropped; set while the
   * service's clock is behind the floor.
   */
  #floorUntil: { readonly service: number; readonly local: number } | undefined;

  /** Takes an answer into account. No token is of use after `retention`. */
  observe(nowMs: number, { sentAt, receivedAt }: Times, retention: number): void {
    const upper = nowMs - sentAt;
    const lower = nowMs - receivedAt - 1;
    const isBehind = this.#floor !== undefined && upper < this.#floor;
    if (this.#floorUntil !== undefined) {
      const { service, local } = this.#floorUntil;
      if (nowMs >= service || (isBehind && sentAt >= local)) {
        this.#floor = this.#floorUntil = undefined;
      }
    }
    if (this.#floor !== undefined && isBehind) {
      const local = receivedAt + retention;
      this.#floorUntil ??= { service: this.#floor + local, local };
    } else {
      this.#floor = Math.max(this.#floor ?? lower, lower);
      this.#floorUntil = undefined;
    }
    this.#latest = upper;
    this.#bound = Math.max(this.#floor, upper);
  }

  /**
   * Compares the times of a token, in seconds, with the time of the service at `now`. `disputed`
   * depends on whether the service's clock was rightly set back.
   */
  check(issuedAt: number, expiresAt: number, now: number): "current" | "expired" | "disputed" {
    const latest = now + 1 + this.#latest;
    const bound = now + 1 + this.#bound;
    const [issued, expires] = [issuedAt * 1000, expiresAt * 1000];
    if (expires > bound && issued <= latest + MAX_AHEAD) return "current";
    if (expires <= latest || issued > bound + MAX_AHEAD) return "expired";
    return "disputed";
  }
}
