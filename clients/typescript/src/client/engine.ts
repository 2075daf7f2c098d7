import { decodeBody } from "../codec/decode.js";
import { DecodeError } from "../codec/error.js";
import type { Frame } from "../codec/frame.js";
import type { Fields, RequestLayout } from "../codec/layout.js";
import { actionOf, InvalidRequestError, ServiceError, UserServiceError } from "../errors.js";
import { ErrorCode } from "../generated/errors.js";
import { REPLIES } from "../generated/messages.js";
import type { ErrorReply } from "../generated/messages.js";
import { Call } from "./call.js";
import type { CallPlan } from "./call.js";
import type { AttemptEnd } from "./connection.js";
import { backoff, lengthened } from "./link.js";
import type { Chosen, Nodes } from "./nodes.js";

const ERROR_TYPE = 0x80;

/** Reply to a call, with the connection that it came from. */
export interface Answer extends Chosen {
  reply: Fields;
  /** Time before the request was sent, by the monotonic clock. */
  sentAt: number;
}

/** End of an attempt: a reply, or an error and what it means for the call. */
type Result =
  | { answer: Answer }
  | { error: UserServiceError; then: "fail" | "again" | "if_repeatable" | "busy"; from?: Chosen };

/**
 * Executes a call: sends the request until there is a reply, or an error after which another
 * attempt would be of no use or could execute the request twice.
 */
export async function execute(nodes: Nodes, plan: CallPlan): Promise<Answer> {
  const call = new Call(plan);
  try {
    // An invalid value is found even if there is no server.
    call.encode(1).fill(0);
  } catch (error) {
    call.finish();
    throw error;
  }
  const { hedgeAfterMs } = plan;
  if (hedgeAfterMs === undefined || nodes.links.length < 2) return run(nodes, call);
  return race(nodes, call, hedgeAfterMs);
}

/**
 * Executes a call that may be sent to several nodes. If a node does not reply within `lateAfter`,
 * another one is asked as well. The first reply counts, and so does the first refusal: another node
 * would decide the same, and may never answer.
 */
function race(nodes: Nodes, first: Call, lateAfter: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const calls: Call[] = [];
    let open = 0;
    let failure: unknown;
    const finish = () => {
      for (const call of calls) call.finish();
    };
    const start = (call: Call, chosen?: Chosen) => {
      calls.push(call);
      open += 1;
      const onLate = (late: Chosen) => {
        late.link.slow ||= late.link.current === late.connection;
        first.avoid.add(late.link);
        const other = nodes.other(first);
        if (other !== undefined) start(first.fork(), other);
        return other !== undefined;
      };
      run(nodes, call, { lateAfter, onLate }, chosen).then(
        (answer) => {
          finish();
          resolve(answer);
        },
        (error: unknown) => {
          open -= 1;
          failure ??= error;
          if (open > 0 && !isDecision(error)) return;
          finish();
          reject(isDecision(error) ? error : failure);
        },
      );
    };
    start(first);
  });
}

/** Returns `true` for an error that would be the same with any other node. */
function isDecision(error: unknown): boolean {
  if (!(error instanceof UserServiceError) || error instanceof InvalidRequestError) return true;
  if (!(error instanceof ServiceError)) return false;
  return error.outcome === "refused" || error.code === ErrorCode.RATE_LIMITED;
}

/** Reports each attempt without a reply in time, repeatedly until `onLate` returns `true`. */
interface Watch {
  lateAfter: number;
  onLate(chosen: Chosen): boolean;
}

/** Makes attempts, one after another. `chosen` is the connection of the first one. */
async function run(nodes: Nodes, call: Call, watch?: Watch, chosen?: Chosen): Promise<Answer> {
  try {
    for (let next = chosen; ; next = undefined) {
      const on = next ?? (await nodes.choose(call));
      const result = on && (await watched(send(call, on), on, watch));
      if (result === undefined) throw call.endError();
      if ("answer" in result) return result.answer;
      await prepareNext(nodes, call, result);
    }
  } catch (error) {
    throw error instanceof UserServiceError ? call.final(error) : error;
  } finally {
    call.finish();
  }
}

/** Returns `result`, and reports while it is late. */
async function watched<R>(result: Promise<R>, chosen: Chosen, watch?: Watch): Promise<R> {
  if (watch === undefined) return result;
  const timer = setInterval(() => {
    if (watch.onLate(chosen)) clearInterval(timer);
  }, watch.lateAfter);
  try {
    return await result;
  } finally {
    clearInterval(timer);
  }
}

/** Throws the error of an attempt, or returns when the request is to be sent again. */
async function prepareNext(
  nodes: Nodes,
  call: Call,
  { error, then, from }: Exclude<Result, { answer: Answer }>,
): Promise<void> {
  if (then === "fail") throw error;
  if (then === "if_repeatable" && !call.isRepeatable) throw error;
  if (from !== undefined) call.avoid.add(from.link);
  if (error instanceof ServiceError && then === "if_repeatable") {
    // The same node would probably fail again.
    if (!nodes.hasOther(call)) throw error;
  }
  let wait = 0;
  if (then === "busy" && error instanceof ServiceError) {
    call.shared.busy += 1;
    wait = lengthened(error.retryAfterMs ?? 0);
    if (call.shared.busy >= call.plan.busyAttempts || wait >= call.remaining) throw error;
  }
  call.failed(error);
  if (error.outcome === "unknown" && call.lost > 1) wait = backoff(call.lost - 2);
  if (wait > 0) await call.sleep(wait);
}

/** Sends the request on one connection. Returns `undefined` if the call ends before the reply. */
async function send(call: Call, chosen: Chosen): Promise<Result | undefined> {
  const { asked } = call.shared;
  asked.add(chosen.link);
  try {
    return await exchange(call, chosen);
  } finally {
    asked.delete(chosen.link);
    chosen.link.inFlight -= 1;
  }
}

async function exchange(call: Call, chosen: Chosen): Promise<Result | undefined> {
  const { connection } = chosen;
  if (!(await connection.acquire(call.hashing, call.ended))) {
    if (call.isOver) return undefined;
    return notDone("the connection accepts no more requests");
  }
  if (call.isOver) {
    connection.release(call.hashing);
    return undefined;
  }
  const sentAt = performance.now();
  const attempt = connection.send((id) => call.encode(id), call.hashing);
  if (attempt === undefined) return notDone("the connection accepts no more requests");
  call.sent(attempt);
  const end = await Promise.race([attempt.end, call.ended]);
  if (end === undefined) return undefined;
  call.answered(attempt);
  if (end.kind === "frame") return ofFrame(call.plan.layout, end.frame, { ...chosen, sentAt });
  return { ...ofEnd(end), from: chosen };
}

function notDone(message: string): Result {
  return { error: new UserServiceError("lost", "not_done", message), then: "again" };
}

/** Returns the result of a frame with the id of the request. */
function ofFrame(
  layout: RequestLayout,
  { type, body }: Frame,
  from: Omit<Answer, "reply">,
): Result {
  const replyLayout = REPLIES.get(type);
  if (replyLayout === undefined || (type !== layout.reply && type !== ERROR_TYPE)) {
    return badReply(`the reply to ${layout.name} has the type 0x${type.toString(16)}`);
  }
  let reply: Fields;
  try {
    reply = decodeBody(replyLayout, body);
  } catch (error) {
    if (error instanceof DecodeError) return badReply(error.message);
    throw error;
  }
  if (type === layout.reply) return { answer: { ...from, reply } };
  const error = new ServiceError(reply as unknown as ErrorReply);
  if (error.code === ErrorCode.SHUTTING_DOWN) {
    from.connection.retire();
    return { error, then: "again" };
  }
  if (error.code === ErrorCode.DEADLINE_EXCEEDED) return { error, then: "fail" };
  switch (actionOf(error.code).retriedBy) {
    case "client":
      return { error, then: "busy", from };
    case "client_if_repeatable":
      return { error, then: "if_repeatable", from };
    default:
      return { error, then: "fail" };
  }
}

function badReply(reason: string): Result {
  const message = `invalid reply: ${reason}`;
  return { error: new UserServiceError("bad_reply", "unknown", message), then: "fail" };
}

/** Returns the result of an attempt that ended with its connection. */
function ofEnd(end: Exclude<AttemptEnd, { kind: "frame" }>): Exclude<Result, { answer: Answer }> {
  switch (end.kind) {
    case "not_sent": {
      const message = `the connection was lost: ${end.error.message}`;
      return { error: new UserServiceError("lost", "not_done", message), then: "again" };
    }
    case "rejected": {
      const { error } = end;
      const options = { cause: error };
      return {
        error: new UserServiceError("certificate", "not_done", error.message, options),
        then: "again",
      };
    }
    case "busy":
      return { error: new ServiceError(end.reply), then: "again" };
    case "lost":
      return ofLost(end);
  }
}

function ofLost({ error, reply }: { error: Error; reply?: ErrorReply }) {
  const message = `the connection was lost: ${error.message}`;
  const cause = reply === undefined ? error : new ServiceError(reply);
  const lost = new UserServiceError("lost", "unknown", message, { cause });
  // After an error of class 01, the same request would fail again: this client has a bug, or does
  // not use TLS on a port with TLS.
  const isBug = reply !== undefined && reply.code >> 8 === 1;
  return { error: lost, then: isBug ? ("fail" as const) : ("if_repeatable" as const) };
}
