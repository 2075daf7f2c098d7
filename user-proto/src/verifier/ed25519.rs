//! The points that a strict verifier of Ed25519 refuses.
//!
//! aws-lc-rs refuses S >= L (RFC 8032, section 5.1.7) and compares R byte for byte, so that it has
//! only one encoding. But it accepts public keys of small order, with which one signature is valid
//! for many messages, and public keys that are not encoded canonically.

/// Bit of the last byte that contains the sign of x.
const SIGN: u8 = 0x80;

/// The y coordinates of the eight points of small order, without the sign of x: 0, 1, two of order
/// 8, and -1.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    {
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        minus_one
    },
];

/// Returns `true` if `point` is encoded canonically (y < 2^255 - 19) and is not of small order.
/// The sign of x does not matter, since the points with x = 0, for which one sign is not canonical,
/// are of small order.
pub(super) fn is_strict(point: &[u8; 32]) -> bool {
    let mut y = *point;
    y[31] &= !SIGN;
    let is_canonical = y[0] < 0xed || y[31] < 0x7f || y[1..31].iter().any(|byte| *byte != 0xff);
    is_canonical && !SMALL_ORDER.contains(&y)
}
