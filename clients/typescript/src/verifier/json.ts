// JSON objects in which every member occurs once. JSON.parse would accept a repeated member.

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Members of a JSON object: their JSON text by name. */
export type Members = ReadonlyMap<string, string>;

/** Returns the members of a JSON object, or `undefined` if it is not one, or one occurs twice. */
export function parseObject(bytes: Uint8Array): Members | undefined {
  try {
    const text = utf8.decode(bytes);
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return members(text);
  } catch {
    return undefined;
  }
}

/** Returns the value of a member if it is a string. */
export function textMember(members: Members, name: string): string | undefined {
  const json = members.get(name);
  return json?.startsWith('"') ? (JSON.parse(json) as string) : undefined;
}

/** Returns the value of a member if it is an instant: an integer from 0 to 2^53-1. */
export function instantMember(members: Members, name: string): number | undefined {
  const json = members.get(name);
  if (json === undefined || !/^(0|[1-9][0-9]{0,15})$/.test(json)) return undefined;
  const value = Number(json);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Splits the text of a valid JSON object at the commas and colons of its own level. */
function members(text: string): Members | undefined {
  const found = new Map<string, string>();
  let depth = 0;
  let name: string | undefined;
  let start = 0;
  const end = (at: number) => {
    if (name === undefined) return true;
    if (found.has(name)) return false;
    found.set(name, text.slice(start, at).trim());
    name = undefined;
    return true;
  };
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') {
      const close = endOfString(text, at);
      // The first string of a member is its name.
      if (depth === 1 && name === undefined) {
        name = JSON.parse(text.slice(at, close + 1)) as string;
        start = text.indexOf(":", close) + 1;
        at = start - 1;
      } else {
        at = close;
      }
    } else if (char === "{" || char === "[") {
      depth += 1;
    } else if (char === "}" || char === "]") {
      depth -= 1;
      if (depth === 0 && !end(at)) return undefined;
    } else if (char === "," && depth === 1 && !end(at)) {
      return undefined;
    }
  }
  return found;
}

/** Returns the index of the quotation mark that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at;
}
