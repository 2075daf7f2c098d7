// Checks of options and arguments, so that a mistake is found where it was made.

/** Longest time of a timer in milliseconds. A longer one would end at once. */
const MAX_TIMER = 2 ** 31 - 1;

/** Check of a value. Returns a description of what was expected, or `undefined` if it is valid. */
export type Rule = (value: unknown) => string | undefined;

/** The rule for each option. */
export type Rules<T> = { readonly [K in keyof Required<T>]: Rule };

const typed =
  (type: string, expected: string): Rule =>
  (value) => (typeof value === type ? undefined : expected);

export const isText = typed("string", "a text");
export const isFlag = typed("boolean", "true or false");
export const isFunction = typed("function", "a function");
export const isAnything: Rule = () => undefined;
export const isNonEmptyText: Rule = (value) =>
  typeof value === "string" && value !== "" ? undefined : "a text that is not empty";
export const isSignal: Rule = (value) => {
  const { aborted, addEventListener } = value as Partial<AbortSignal>;
  const isOne = typeof aborted === "boolean" && typeof addEventListener === "function";
  return isOne ? undefined : "an AbortSignal";
};
export const isLog: Rule = (value) =>
  typeof value === "function" || value === false ? undefined : "a function, or false for no log";

/** Returns the rule for a time in milliseconds of at least `min`. */
export const isTime =
  (min: number): Rule =>
  (value) =>
    isBetween(value, min, MAX_TIMER) ? undefined : `milliseconds from ${min} to ${MAX_TIMER}`;

/** Returns the rule for an integer of at least `min`. */
export const isCount =
  (min: number): Rule =>
  (value) =>
    isBetween(value, min, Number.MAX_SAFE_INTEGER) && Number.isInteger(value)
      ? undefined
      : `an integer from ${min}`;

function isBetween(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && value >= min && value <= max;
}

/**
 * Returns the options of `given` that have a rule, without those that are `undefined` or `null`.
 * Throws a TypeError if an option has no rule, or does not comply with it. The error contains no
 * value, since it may be a secret. `what` is the name of the options in the error.
 */
export function readOptions<T extends object>(what: string, given: unknown, rules: Rules<T>): T {
  const isObject = typeof given === "object" && given !== null && !Array.isArray(given);
  if (!isObject || given instanceof Promise) {
    throw new TypeError(`${what}: expected an object, but got ${describe(given)}`);
  }
  const names = Object.keys(rules);
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) throw new TypeError(`${what}: ${unknownName(name, names)}`);
  }
  // Without the properties of all objects, which other code may have added to.
  const options = Object.create(null) as Record<string, unknown>;
  for (const name of names) {
    const value = propertyOf(given, name);
    if (value === undefined || value === null) continue;
    const expected = (rules as Record<string, Rule>)[name]?.(value);
    if (expected !== undefined) {
      const mistake = `expected ${expected}, but got ${describe(value)}`;
      throw new TypeError(`${what}: invalid value of \`${name}\`: ${mistake}`);
    }
    options[name] = value;
  }
  return options as T;
}

/** Returns a property, also of the class of an object, but not one of all objects. */
export function propertyOf(object: object, name: string): unknown {
  if (!Object.hasOwn(object, name) && name in Object.prototype) return undefined;
  return (object as Record<string, unknown>)[name];
}

function unknownName(name: string, names: readonly string[]): string {
  const near = nearest(name, names);
  const hint =
    near === undefined ? `the options are ${names.join(", ")}` : `did you mean \`${near}\`?`;
  return `unknown option \`${name.slice(0, 64)}\`; ${hint}`;
}

/** Returns the name that `name` is probably a misspelling of. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const text = normalized(name);
  const limit = text.length < 6 ? 1 : 2;
  let best: string | undefined;
  let least = limit + 1;
  for (const candidate of names) {
    const distance = distanceOf(text, normalized(candidate));
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

function normalized(name: string): string {
  return name.slice(0, 64).toLowerCase().replaceAll(/[_-]/g, "");
}

/** Returns the number of letters to insert, remove or replace (Levenshtein distance). */
function distanceOf(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let line = 1; line <= from.length; line += 1) {
    const next = [line];
    for (let at = 1; at <= to.length; at += 1) {
      const replaced = (row[at - 1] ?? 0) + (from[line - 1] === to[at - 1] ? 0 : 1);
      next.push(Math.min((row[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1, replaced));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

/** Describes a value by its type. Only numbers and flags are printed: a text may be secret. */
export function describe(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean" || value == null) return `${value}`;
  if (typeof value === "string") return value === "" ? "an empty text" : "a text";
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Promise) return "a Promise";
  if (typeof value !== "object") return `a value (${typeof value})`;
  // Not a property of parsed JSON, which could be any text.
  const type: unknown = value.constructor;
  return typeof type === "function" ? `an object (${type.name})` : "an object";
}
