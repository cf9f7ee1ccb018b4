/** Length of the longest common subsequence. */
export function lcsLength(a: readonly string[], b: readonly string[]): number {
  let above = new Uint32Array(b.length + 1);
  for (const word of a) above = nextRow(above, word, b);
  return above[b.length] ?? 0;
}

/** Places in `a` of a longest common subsequence. Of several, it is the one that rouge-score reads out. */
export function lcsPlaces(a: readonly string[], b: readonly string[]): Set<number> {
  let last = new Uint32Array(b.length + 1);
  const rows = [last, ...a.map((word) => (last = nextRow(last, word, b)))];
  const length = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  const places = new Set<number>();
  let [i, j] = [a.length, b.length];
  while (i > 0 && j > 0) {
    if (a[i - 1] === b[j - 1]) {
      places.add(--i);
      j--;
    } else if (length(i, j - 1) > length(i - 1, j)) j--;
    else i--;
  }
  return places;
}

/** Lengths for one more word of `a`, by the number of words of `b`. */
function nextRow(above: Uint32Array, word: string, b: readonly string[]): Uint32Array<ArrayBuffer> {
  const row = new Uint32Array(b.length + 1);
  b.forEach((other, j) => {
    row[j + 1] = word === other ? (above[j] ?? 0) + 1 : Math.max(row[j] ?? 0, above[j + 1] ?? 0);
  });
  return row;
}
