import { isUuid } from "../codec/values.js";
import { decodeBase64Url } from "./base64url.js";
import { MAX_KID } from "./keys.js";
import { instantMember, parseObject, textMember } from "./json.js";
import type { Members } from "./json.js";

/** Maximum length of a token in bytes. */
export const MAX_TOKEN = 2_048;
const TYPE = "at+jwt";

/** A token that has been split, with its decoded header. Nothing in it has been verified. */
export interface Token {
  /** Encoded header, dot and encoded claims. */
  readonly signed: string;
  readonly signature: Buffer;
  readonly claims: string;
  readonly kid: string;
  readonly algorithm: string;
}

/** The claims that a verifier uses. */
export interface Claims {
  readonly userId: string;
  readonly sessionId: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** Splits a token and decodes its header. Returns `undefined` if it is not an access token. */
export function parseToken(text: string): Token | undefined {
  if (text.length > MAX_TOKEN) return undefined;
  const [header, claims, signature, rest] = text.split(".", 4);
  if (header === undefined || claims === undefined || signature === undefined) return undefined;
  if (rest !== undefined) return undefined;
  const members = object(header);
  const decoded = decodeBase64Url(signature);
  if (members === undefined || decoded === undefined) return undefined;
  const kid = textMember(members, "kid");
  const algorithm = textMember(members, "alg");
  // Exactly these members: no key of the token itself, and no extension.
  if (members.size !== 3 || textMember(members, "typ") !== TYPE) return undefined;
  if (kid === undefined || algorithm === undefined) return undefined;
  if (Buffer.byteLength(kid) > MAX_KID) return undefined;
  return { signed: `${header}.${claims}`, signature: decoded, claims, kid, algorithm };
}

/**
 * Returns the claims of a token with a verified signature: `undefined` if one is missing or
 * malformed, and `other` if the token is for another issuer or audience.
 */
export function parseClaims(
  token: Token,
  issuer: string,
  audience: string,
): Claims | "other" | undefined {
  const members = object(token.claims);
  if (members === undefined) return undefined;
  const text = (name: string) => textMember(members, name);
  const [iss, aud, sub, sid, jti] = [
    text("iss"),
    text("aud"),
    text("sub"),
    text("sid"),
    text("jti"),
  ];
  const issuedAt = instantMember(members, "iat");
  const expiresAt = instantMember(members, "exp");
  if (iss === undefined || aud === undefined || issuedAt === undefined || expiresAt === undefined) {
    return undefined;
  }
  if (sub === undefined || sid === undefined || jti === undefined) return undefined;
  if (iss !== issuer || aud !== audience) return "other";
  if (![sub, sid, jti].every(isUuid)) return undefined;
  return { userId: sub.toLowerCase(), sessionId: sid.toLowerCase(), issuedAt, expiresAt };
}

function object(encoded: string): Members | undefined {
  const bytes = decodeBase64Url(encoded);
  return bytes === undefined ? undefined : parseObject(bytes);
}
