export { decodeBody } from "./decode.js";
export { encodeFrame } from "./encode.js";
export { DecodeError, EncodeError, FrameError } from "./error.js";
export { FrameReader, splitFrame } from "./frame.js";
export type { Frame } from "./frame.js";
