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
 * new clock too.
 */
export class ServiceTime {
  /** Upper bound by the latest answer: offset in milliseconds. Before it, no token is valid. */
  #latest = Infinity;
  /** The larger one of `#latest` and the floor. */
  #bound = Infinity;
  #floor: number | undefined;
  /** Time of the service at which the floor is dropped; set while its clock is behind the floor. */
  #floorUntil: number | undefined;

  /** Takes an answer into account. No token is of use after `retention`. */
  observe(nowMs: number, { sentAt, receivedAt }: Times, retention: number): void {
    const upper = nowMs - sentAt;
    const lower = nowMs - receivedAt - 1;
    if (this.#floorUntil !== undefined && nowMs >= this.#floorUntil) {
      this.#floor = this.#floorUntil = undefined;
    }
    if (this.#floor !== undefined && upper < this.#floor) {
      this.#floorUntil ??= this.#floor + receivedAt + retention;
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
