/** Deepest nesting of objects and arrays in a JSON body. Routes need at most 5 levels, for token ids in many requests. */
const MAX_DEPTH = 32;
/**
 * Most of each in a JSON body: they determine how long parsing and checking block the event loop. Names of fields are strings too. Those
 * that are numbers cost less, and a `logit_bias` for every token has 50,257.
 */
const MAX_VALUES = 524_288;
const MAX_PARTS = 65_536;
const MAX_NAMES = 16_384;

const [QUOTE, COMMA, COLON, BACKSLASH, NINE] = [0x22, 0x2c, 0x3a, 0x5c, 0x39];
const [BRACKET, BRACE, END_BRACKET, END_BRACE] = [0x5b, 0x7b, 0x5d, 0x7d];

/**
 * Says why JSON would take long to parse, as a predicate: `is nested deeper than ...`; undefined for what would not. Looks at the bytes: in
 * UTF-8, the byte of a bracket or quote is never part of another character.
 */
export function costOfJson(body: Uint8Array): string | undefined {
  let [depth, values, parts, names] = [0, 1, 0, 0];
  let isName = false; // whether the last string is no number
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (byte === COMMA) values++;
    else if (byte === QUOTE) {
      const end = endOfString(body, at);
      isName = !isNumber(body, at + 1, end);
      at = end;
      parts++;
    } else if (byte === BRACKET || byte === BRACE) {
      depth++;
      parts++;
    } else if (byte === END_BRACKET || byte === END_BRACE) depth--;
    else if (byte === COLON && isName) names++;
    else continue;
    if (depth > MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels`;
    if (values > MAX_VALUES) return `has more than ${MAX_VALUES} values`;
    if (parts > MAX_PARTS) return `has more than ${MAX_PARTS} strings, objects and arrays`;
    if (names > MAX_NAMES) return `has more than ${MAX_NAMES} fields with a name that is no number`;
  }
  return undefined;
}

/** Index of the quote that closes the string opened at `start`. */
function endOfString(body: Uint8Array, start: number): number {
  for (let at = start + 1; at < body.length; at++) {
    if (body[at] === QUOTE) return at;
    if (body[at] === BACKSLASH) at++;
  }
  return body.length;
}

/** Whether the bytes are at most nine digits, as the names in a `logit_bias` are. */
function isNumber(body: Uint8Array, start: number, end: number): boolean {
  if (end - start > 9) return false;
  for (let at = start; at < end; at++) {
    const digit = NINE - (body[at] ?? 0);
    if (digit < 0 || digit > 9) return false;
  }
  return true;
}
