const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/**
 * The first key that occurs twice in one object of a JSON text, at any depth. (`JSON.parse` silently keeps only the
 * last value.) The text must be valid JSON. No recursion: an untrusted text may be nested a million deep.
 */
export function findDuplicateKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  let lastString = '';
  for (let at = 0; at < json.length; at++) {
    const char = json.charCodeAt(at);
    if (char === QUOTE) {
      const end = endOfString(json, at);
      lastString = json.slice(at, end + 1);
      at = end;
    } else if (char === OPEN) open.push(new Set());
    else if (char === CLOSE) open.pop();
    else if (char === COLON) {
      const keys = open.at(-1) as Set<string>; // a colon is only ever inside of an object
      const key = JSON.parse(lastString) as string; // 'a' and '\u0061' are the same key
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** Index of the quote that closes the string opened at `start`. */
function endOfString(json: string, start: number): number {
  for (let at = start + 1; at < json.length; at++) {
    const char = json.charCodeAt(at);
    if (char === QUOTE) return at;
    if (char === BACKSLASH) at++;
  }
  return json.length;
}
