// The points that a strict verifier of Ed25519 refuses. OpenSSL accepts public keys of small order,
// with which one signature is valid for many messages.

/** y coordinates of the eight points of small order, without the sign of x: 0, 1, two of order 8,
 * and -1; little-endian. */
const SMALL_ORDER = new Set([
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  `ec${"ff".repeat(30)}7f`,
]);

/** Order of the group, little-endian: 2^252 + 27742317777372353535851937790883648493. */
const ORDER = Buffer.from(
  "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
  "hex",
);

/**
 * Returns `true` if a point is encoded canonically (y < 2^255 - 19) and is not of small order. The
 * sign of x does not matter, since the points with x = 0, for which one sign is not canonical, are
 * of small order.
 */
export function isStrictPoint(point: Uint8Array): boolean {
  const y = Buffer.from(point);
  y.writeUInt8(y.readUInt8(31) & 0x7f, 31);
  const isLargest = y.readUInt8(31) === 0x7f && y.subarray(1, 31).every((byte) => byte === 0xff);
  const isCanonical = !isLargest || y.readUInt8(0) < 0xed;
  return isCanonical && !SMALL_ORDER.has(y.toString("hex"));
}

/** Returns `true` if the scalar S of a signature is reduced (RFC 8032, section 5.1.7). */
export function isReduced(scalar: Uint8Array): boolean {
  return Buffer.compare(Buffer.from(scalar).reverse(), Buffer.from(ORDER).reverse()) < 0;
}
