import { inspect } from "node:util";

/** A password, token or code. Strings and bytes are accepted wherever a secret is sent. */
export type SecretInput = Secret | string | Uint8Array;

const HIDDEN = "[secret]";
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * A password, token or code that is not printed by `String()`, template strings, `JSON.stringify`
 * and `util.inspect` (which `console.log` uses). `reveal` returns its text.
 */
export class Secret {
  readonly #bytes: Uint8Array;

  /** Throws a TypeError, without the value, if it is neither well-formed text nor bytes. */
  constructor(value: string | Uint8Array) {
    if (typeof value === "string" && value.isWellFormed()) this.#bytes = Buffer.from(value, "utf8");
    else if (value instanceof Uint8Array) this.#bytes = Uint8Array.from(value);
    else throw new TypeError("invalid secret: expected well-formed text or bytes");
  }

  /** Returns `value` itself if it is a secret, and otherwise a secret with this content. */
  static from(value: SecretInput): Secret {
    return value instanceof Secret ? value : new Secret(value);
  }

  /** Returns the secret as text. */
  reveal(): string {
    return decoder.decode(this.#bytes);
  }

  /** Returns a copy of the bytes of the secret. */
  revealBytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [Symbol.toPrimitive](): string {
    return HIDDEN;
  }

  [inspect.custom](): string {
    return HIDDEN;
  }
}
