import { LIMITS } from "../generated/errors.js";
import { FrameError } from "./error.js";

/** Size of the length field in bytes. */
const LENGTH_FIELD = 4;
/** Size of the length field, the type and the request id in bytes. */
export const HEADER = 9;

/** A complete frame. */
export interface Frame {
  readonly type: number;
  readonly id: number;
  readonly body: Buffer;
}

/**
 * Returns the frame at the start of `bytes` with its size, or `undefined` if it is incomplete.
 * Throws a FrameError as soon as the length field shows that it is invalid.
 */
export function splitFrame(bytes: Buffer): { frame: Frame; size: number } | undefined {
  if (bytes.length < LENGTH_FIELD) return undefined;
  const length = bytes.readUInt32BE(0);
  if (length > LIMITS.maxLength) {
    throw new FrameError(0x0104, `length ${length} exceeds ${LIMITS.maxLength}`);
  }
  if (length < LIMITS.minLength) {
    throw new FrameError(0x0105, `length ${length} is under ${LIMITS.minLength}`);
  }
  const size = LENGTH_FIELD + length;
  if (bytes.length < size) return undefined;
  const frame = {
    type: bytes.readUInt8(LENGTH_FIELD),
    id: bytes.readUInt32BE(LENGTH_FIELD + 1),
    body: bytes.subarray(HEADER, size),
  };
  return { frame, size };
}

/** Reassembles frames from the chunks of a stream. It stores at most one incomplete frame. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Returns the frames that are complete with this chunk. */
  *push(chunk: Buffer): Generator<Frame> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (let found = splitFrame(bytes); found; found = splitFrame(bytes)) {
      bytes = bytes.subarray(found.size);
      yield found.frame;
    }
    this.#rest = bytes;
  }
}
