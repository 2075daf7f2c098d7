/** Type of a field. PROTOCOL.md, section 5, defines their encodings. */
export type FieldKind =
  | "text"
  | "secret"
  | "bytes"
  | "address"
  | "uuid"
  | "instant"
  | "instant_ms"
  | "seconds"
  | "millis"
  | "number"
  | "byte"
  | "error_code"
  | "key"
  | "flag"
  | "list";

/** Layout of one field of a message. */
export interface FieldLayout {
  /** Property name in this library. */
  readonly key: string;
  /** Name in PROTOCOL.md. */
  readonly name: string;
  readonly kind: FieldKind;
  /** Tag of an optional field. */
  readonly tag?: number;
  /** Fields of the rows of a list. */
  readonly rows?: readonly FieldLayout[];
}

/** Layout of a reply: its required fields in order, then its optional fields. */
export interface ReplyLayout {
  readonly name: string;
  readonly type: number;
  readonly fields: readonly FieldLayout[];
}

/** Layout of a request, with the rules for repeating it. */
export interface RequestLayout extends ReplyLayout {
  /** Type of the reply. */
  readonly reply: number;
  /** Rule for sending the request again if the outcome is unknown. */
  readonly retry: "once" | "safe" | "safe_within_30_s";
  /** `true` if the request changes something, so that an idempotency key applies to it. */
  readonly changes: boolean;
  /** `true` if the request hashes a password; if an array, only if one of these is present. */
  readonly hashes: boolean | readonly string[];
}

/**
 * What is known about the execution of a request: `refused`, and the same request would be refused
 * again; `not_done`, and it may be sent later; or `unknown`, and it may have been executed.
 */
export type Outcome = "refused" | "not_done" | "unknown";

/** What an error code means for the caller. */
export interface ErrorAction {
  readonly outcome: Outcome;
  /** HTTP status of a gateway. */
  readonly status: number;
  readonly retriedBy: "nobody" | "end_user" | "client" | "client_if_repeatable";
}

/** Values of the fields of a message by property name. */
export type Fields = Record<string, unknown>;
