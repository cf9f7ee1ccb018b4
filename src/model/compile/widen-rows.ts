/**
 * A piece of a matrix as it lies where rows are wider: from element `first` on, from rows of `columns` to rows of `widerColumns`
 * with zeros at their ends. Returns the elements from the piece's first to its last, and the place `at` which they begin.
 */
export function widenRows(
  values: Float32Array,
  first: number,
  columns: number,
  widerColumns: number,
): { readonly values: Float32Array; readonly at: number } {
  if (columns === widerColumns) return { values, at: first };
  const placeOf = (element: number): number => element + Math.floor(element / columns) * (widerColumns - columns);
  const at = placeOf(first);
  const widened = new Float32Array(placeOf(first + values.length - 1) + 1 - at);
  for (let start = 0; start < values.length;) {
    const end = Math.min(values.length, start + columns - ((first + start) % columns));
    widened.set(values.subarray(start, end), placeOf(first + start) - at);
    start = end;
  }
  return { values: widened, at };
}
