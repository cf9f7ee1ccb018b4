/**
 * A piece of a matrix as it lies where rows are wider: from element `first` on, from rows of `columns` to rows of `widerColumns`
 * with zeros at their ends. Returns the elements from the piece's first to its last, and the index `at` which they begin in the wider matrix.
 */
export function widenRows(
  values: Float32Array,
  first: number,
  columns: number,
  widerColumns: number,
): { readonly values: Float32Array; readonly at: number } {
  if (columns === widerColumns) return { values, at: first };
  const widenedIndex = (element: number): number => element + Math.floor(element / columns) * (widerColumns - columns);
  const at = widenedIndex(first);
  const widened = new Float32Array(widenedIndex(first + values.length - 1) + 1 - at);
  for (let start = 0; start < values.length;) {
    const end = Math.min(values.length, start + columns - ((first + start) % columns));
    widened.set(values.subarray(start, end), widenedIndex(first + start) - at);
    start = end;
  }
  return { values: widened, at };
}
