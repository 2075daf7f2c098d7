import { describe, isTime } from "../check.js";
import { onAbort } from "../client/abort.js";
import { UserServiceClient } from "../client/client.js";
import { callOptions, CLIENT_OPTIONS } from "../client/options.js";
import type { CallOptions, ClientOptions } from "../client/options.js";
import { Window } from "../client/window.js";
import { InvalidRequestError, ServiceError, UserServiceError } from "../errors.js";
import { ErrorCode } from "../generated/errors.js";
import type { TokenVerified } from "../generated/messages.js";
import { logTo, Outage } from "../log.js";
import { Secret } from "../secret.js";
import { Local } from "./local.js";
import { VERIFIER_OPTIONS, verifierOptions, verifierSettings } from "./options.js";
import type { VerifierOptions } from "./options.js";
import { revocationIds } from "./revocations.js";
import type { Status } from "./status.js";
import { Task } from "./task.js";
import { parseToken } from "./token.js";
import { VerifyError } from "./verdict.js";
import type { Verified, VerifyReason } from "./verdict.js";

/** Options of a check, which apply if the service is asked. */
export type VerifyOptions = Pick<
  CallOptions,
  "clientAddress" | "traceparent" | "deadlineMs" | "signal"
>;

/** Number of tokens that may wait for the service to be asked about them. */
const MAX_WAITING = 10_000;

/**
 * Checks access tokens in memory, and still notices a revocation within a second. It follows the
 * service as section 10 of PROTOCOL.md describes. While its keys and revocations are complete and
 * not older than `ageLimitMs`, it checks tokens in memory. Otherwise, and with a service that signs
 * tokens with HS256, the same call asks the service.
 */
export class Verifier {
  readonly #client: UserServiceClient;
  readonly #ownsClient: boolean;
  readonly #local: Local;
  readonly #task: Task;
  readonly #asking: Window;
  readonly #outage: Outage;
  #waiters: (() => void)[] = [];
  #isClosed = false;

  /**
   * Creates a verifier that uses `client`, or one with connections of its own to these addresses.
   * Throws an error if the client has another verifier that is not closed: the service answers one
   * watch per connection. Throws a UserServiceError of the kind `plaintext` if a connection would
   * cross a network without TLS: whoever can replace the keys can forge tokens.
   */
  constructor(
    client: UserServiceClient | ClientOptions | string | readonly string[],
    options: VerifierOptions = {},
  ) {
    checkArguments(client, options);
    const given = verifierOptions(options);
    this.#ownsClient = !(client instanceof UserServiceClient);
    this.#client =
      client instanceof UserServiceClient
        ? client
        : new UserServiceClient(withLog(client, given.log));
    if (this.#client.refusesSecrets) throw this.#client.plaintextError("read keys from");
    if (watched.has(this.#client)) {
      throw new Error(
        "this client already has a verifier: share that one, or create one with connections of " +
          "its own, from addresses",
      );
    }
    watched.add(this.#client);
    const settings = verifierSettings(given);
    const log = given.log === undefined ? this.#client.log : logTo(given.log);
    this.#outage = new Outage(log);
    this.#asking = new Window(settings.maxAsking);
    this.#local = new Local(settings, () => this.#task.surprise());
    this.#local.onOther = () => {
      this.#local.onOther = () => {};
      log(
        "the service is asked about a token with another issuer or audience than the options " +
          "`issuer` and `audience` of the verifier; further ones are not logged",
      );
    };
    this.#task = new Task(this.#client, this.#local, log, () => {
      for (const waiter of this.#waiters) waiter();
    });
  }

  /** `true` if tokens are checked in memory. */
  get ready(): boolean {
    return this.#local.isReady;
  }

  /**
   * Checks a token: in memory if possible, otherwise by asking the service, with these options.
   * Throws a `VerifyError`; its `reason` is `unavailable` if the token could not be checked.
   */
  async verify(token: string | Secret, given?: VerifyOptions): Promise<Verified> {
    const text = textOf(token);
    // A mistake is found even while tokens are checked in memory.
    const options = given === undefined ? {} : callOptions(given);
    const verdict = this.#local.check(text);
    if (typeof verdict === "object") {
      if (this.#outage.isOn) this.#outage.works(AGAIN);
      return verdict;
    }
    if (verdict !== undefined) throw new VerifyError(verdict);
    return this.#ask(text, options);
  }

  /**
   * Checks a token in memory, without waiting. Returns `undefined` if the service must be asked,
   * with `verify`.
   */
  verifyLocal(token: string | Secret): Verified | VerifyError | undefined {
    const verdict = this.#local.check(textOf(token));
    return typeof verdict === "string" ? new VerifyError(verdict) : verdict;
  }

  /**
   * Waits until the keys and all revocations have arrived, `limitMs` has passed, or the verifier is
   * closed. Returns `true` in the first case. A service that signs tokens with HS256 has no public
   * keys, so the verifier is not `ready` even then.
   */
  waitUntilComplete(limitMs = 5_000): Promise<boolean> {
    const expected = isTime(0)(limitMs);
    if (expected !== undefined) {
      const got = describe(limitMs);
      throw new TypeError(`waitUntilComplete: expected ${expected}, but got ${got}`);
    }
    return new Promise((resolve) => {
      const end = (isComplete: boolean) => {
        clearTimeout(timer);
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        resolve(isComplete);
      };
      const waiter = () => {
        if (this.#local.isComplete) end(true);
        else if (this.#isClosed) end(false);
      };
      const timer = setTimeout(() => end(false), limitMs);
      this.#waiters.push(waiter);
      waiter();
    });
  }

  /** Returns the state and the counters. */
  status(): Status {
    const { keys, revocations, counters, cachedTokens, ageMs, isReady } = this.#local;
    return {
      ready: isReady,
      ageMs,
      keys: keys.size,
      revocations: revocations.size,
      cachedTokens,
      ...counters,
      lastError: this.#task.lastError,
    };
  }

  /**
   * Stops following the service, and closes the connections that the verifier has made itself.
   * Further checks are `unavailable` once the revocations are over the age limit.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    watched.delete(this.#client);
    this.#task.stop();
    for (const waiter of this.#waiters) waiter();
    this.#asking.close();
    if (this.#ownsClient) await this.#client.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Asks the service about a token. */
  async #ask(token: string, options: VerifyOptions): Promise<Verified> {
    const parsed = parseToken(token);
    if (parsed === undefined || this.#local.keys.isRevoked(parsed.kid)) {
      // Nothing that the service could accept, or that it may still accept.
      this.#local.counters.invalid += 1;
      throw new VerifyError("invalid");
    }
    this.#local.counters.asked += 1;
    let reply: TokenVerified;
    try {
      reply = await this.#askService(token, options);
    } catch (error) {
      // Mistakes of the caller say nothing about the token or the service.
      if (error instanceof InvalidRequestError || !(error instanceof UserServiceError)) throw error;
      throw this.#failure(reasonOf(error), error);
    }
    // The node that answered may be behind the one that is followed.
    if (this.#local.keys.isRevoked(parsed.kid)) throw new VerifyError("invalid");
    if (this.#local.revocations.contain(revocationIds(reply))) throw new VerifyError("revoked");
    const { staleMs, ...verified } = reply;
    if (staleMs === undefined) {
      this.#outage.works(AGAIN);
      return verified;
    }
    const isTooOld = staleMs > this.#local.settings.ageLimitMs;
    if (isTooOld && !this.#local.isLeftToService) throw this.#failure("unavailable");
    this.#outage.works(AGAIN);
    return { ...verified, staleMs };
  }

  async #askService(token: string, options: VerifyOptions): Promise<TokenVerified> {
    const { askTimeoutMs } = this.#local.settings;
    const limit = Math.min(options.deadlineMs ?? askTimeoutMs, askTimeoutMs);
    const start = performance.now();
    if (!(await this.#takeTurn(limit, options.signal))) {
      if (options.signal?.aborted) {
        const cause: unknown = options.signal.reason;
        throw new UserServiceError("aborted", "not_done", "the check was aborted", { cause });
      }
      throw new UserServiceError("overloaded", "not_done", "too many tokens are being checked");
    }
    try {
      const deadlineMs = Math.max(1, limit - (performance.now() - start));
      const { clientAddress, traceparent, signal } = options;
      const call = { clientAddress, traceparent, signal, deadlineMs, waitForServer: false };
      return await this.#client.verifyToken({ accessToken: token }, call);
    } finally {
      this.#asking.release();
    }
  }

  /** Waits until the service may be asked about a further token, for at most `limit`. */
  async #takeTurn(limit: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#asking.tryAcquire()) return true;
    if (this.#asking.waiting >= MAX_WAITING || signal?.aborted) return false;
    let cancel: () => void = () => {};
    const cancelled = new Promise<void>((resolve) => {
      cancel = resolve;
    });
    const timer = setTimeout(cancel, limit);
    const unlisten = signal && onAbort(signal, cancel);
    const taken = await this.#asking.acquire(cancelled);
    clearTimeout(timer);
    unlisten?.();
    return taken;
  }

  #failure(reason: VerifyReason, cause?: UserServiceError): VerifyError {
    if (reason === "unavailable") {
      this.#local.counters.unavailable += 1;
      // The caller itself has ended the check or the verifier.
      if (cause?.kind !== "aborted" && !this.#isClosed) {
        const reason = cause?.message ?? "its revocations are older than the age limit";
        this.#outage.fails(`access tokens cannot be checked: ${reason}`);
      }
    } else {
      this.#outage.works(AGAIN);
    }
    return new VerifyError(reason, cause === undefined ? {} : { cause });
  }
}

/** The clients of verifiers that are not closed. */
const watched = new WeakSet<UserServiceClient>();
const AGAIN = "access tokens are checked again";

/** Throws a TypeError if an option is among those of the other argument. */
function checkArguments(client: unknown, options: unknown): void {
  const hasNames = typeof client === "object" && client !== null && !Array.isArray(client);
  const names = hasNames && !(client instanceof UserServiceClient) ? Object.keys(client) : [];
  const misplaced = names.find(
    (name) => VERIFIER_OPTIONS.includes(name) && !CLIENT_OPTIONS.includes(name),
  );
  if (misplaced !== undefined) {
    throw new TypeError(
      `\`${misplaced}\` is an option of the verifier: it belongs to the second argument`,
    );
  }
  const others = typeof options === "object" && options !== null ? Object.keys(options) : [];
  const other = others.find(
    (name) => CLIENT_OPTIONS.includes(name) && !VERIFIER_OPTIONS.includes(name),
  );
  if (other !== undefined) {
    throw new TypeError(
      `\`${other}\` is an option of the client: it belongs to the first argument`,
    );
  }
}

/** Returns the options of a client that logs like its verifier. */
function withLog(
  client: ClientOptions | string | readonly string[],
  log: VerifierOptions["log"],
): ClientOptions | string | readonly string[] {
  if (log === undefined) return client;
  if (typeof client === "string" || Array.isArray(client)) return { addresses: client, log };
  const options = client as ClientOptions;
  return options.log === undefined ? { ...options, log } : options;
}

function textOf(token: string | Secret): string {
  if (typeof token === "string") return token;
  if (token instanceof Secret) return token.reveal();
  throw new TypeError(`expected an access token (a text or a Secret), but got ${describe(token)}`);
}

/** Returns what an error of VerifyToken says about the token; most say nothing about it. */
function reasonOf(error: UserServiceError): VerifyReason {
  if (!(error instanceof ServiceError)) return "unavailable";
  switch (error.code) {
    case ErrorCode.TOKEN_EXPIRED:
      return "expired";
    case ErrorCode.SESSION_REVOKED:
      return "revoked";
    case ErrorCode.NOT_PERMITTED:
      return "unavailable";
    default:
      return error.code >> 8 === 3 ? "invalid" : "unavailable";
  }
}
