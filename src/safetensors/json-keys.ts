/** Strings, and the characters that structure a JSON text. Numbers and literals hold none of these. */
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}:]/g;

/** The first key that occurs twice in one object of a valid JSON text: `JSON.parse` keeps only the last silently. */
export function findDuplicateKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  let lastString = '';
  for (const [token] of json.matchAll(TOKENS)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (token === ':') {
      const keys = open.at(-1) as Set<string>;
      const key = JSON.parse(lastString) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    } else lastString = token;
  }
  return undefined;
}
