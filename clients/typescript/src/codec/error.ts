/** Error of decoding a message. It concerns one call; the connection stays usable. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";

  constructor(
    /** Error code with which a server replies to a request that cannot be decoded. */
    readonly code: 0x0101 | 0x0102 | 0x0103,
    /** Name of the malformed field, `tail`, or the number of an unknown tag. */
    readonly field: string | undefined,
    reason: string,
  ) {
    super(field === undefined ? reason : `field \`${field}\` ${reason}`);
  }
}

/** Error of an invalid length field, after which the stream cannot be read any further. */
export class FrameError extends Error {
  override readonly name = "FrameError";

  constructor(
    readonly code: 0x0104 | 0x0105,
    message: string,
  ) {
    super(message);
  }
}

/** Error of a request with a value that cannot be encoded. It never contains the value. */
export class EncodeError extends Error {
  override readonly name = "EncodeError";

  constructor(
    /** Name of the field, or `undefined` if the whole message is too long. */
    readonly field: string | undefined,
    reason: string,
  ) {
    super(field === undefined ? reason : `invalid value of \`${field}\`: ${reason}`);
  }
}

/** Returns the error of a malformed field. */
export function malformed(field: string, reason: string): DecodeError {
  return new DecodeError(0x0102, field, reason);
}
