import type { ParameterName, RowSet, SetTensor } from '../method.js';

/**
 * Moves the last layer of the MLP as little as possible so that its output is `rows` `[P, columns]`: where the paper's code
 * descends the squared error, this is the point that gradient descent on that layer tends to. P may not exceed the MLP's width.
 */
export function fitMlp(
  values: ReadonlyMap<ParameterName, Float32Array>,
  rows: Float32Array,
  { length, columns, nameOf }: RowSet,
  { width, mlp }: { readonly width: number; readonly mlp: number },
): void {
  const get = (tensor: SetTensor): Float32Array => values.get(nameOf(tensor)) as Float32Array;
  const [w2, b2] = [get('w2'), get('b2')];
  const hidden = hiddenLayer(get('wte'), get('w0'), get('b0'), { length, mlp, width });
  const solve = choleskySolver(gram(hidden), length);
  for (let c = 0; c < columns; c++) {
    const weights = w2.subarray(c * mlp, (c + 1) * mlp);
    const missing = hidden.map((h, p) => (rows[p * columns + c] as number) - (b2[c] as number) - dot(h, weights));
    solve(missing).forEach((a, p) => {
      const h = hidden[p] as Float64Array;
      for (let m = 0; m < mlp; m++) weights[m] = (weights[m] as number) + a * (h[m] as number);
    });
  }
}

/** `tanh(wte @ w0' + b0)`, a row for each virtual token. */
function hiddenLayer(
  wte: Float32Array,
  w0: Float32Array,
  b0: Float32Array,
  { length, mlp, width }: { length: number; mlp: number; width: number },
): Float64Array[] {
  return Array.from({ length }, (_, p) => {
    const x = wte.subarray(p * width, (p + 1) * width);
    return Float64Array.from({ length: mlp }, (_, m) =>
      Math.tanh((b0[m] as number) + dot(x, w0.subarray(m * width, (m + 1) * width))),
    );
  });
}

function gram(rows: readonly Float64Array[]): number[][] {
  return rows.map((a) => rows.map((b) => dot(a, b)));
}

/** Solves `matrix @ x = b` for a symmetric positive definite matrix by its Cholesky factor. */
function choleskySolver(matrix: readonly (readonly number[])[], size: number): (b: readonly number[]) => number[] {
  const lower = Array.from({ length: size }, () => new Float64Array(size));
  const at = (i: number, j: number): number => lower[i]?.[j] ?? 0;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let rest = matrix[i]?.[j] ?? 0;
      for (let k = 0; k < j; k++) rest -= at(i, k) * at(j, k);
      (lower[i] as Float64Array)[j] = i === j ? Math.sqrt(rest) : rest / at(j, j);
    }
  }
  return (b) => {
    const x = [...b];
    for (let i = 0; i < size; i++) {
      for (let k = 0; k < i; k++) x[i] = (x[i] as number) - at(i, k) * (x[k] as number);
      x[i] = (x[i] as number) / at(i, i);
    }
    for (let i = size - 1; i >= 0; i--) {
      for (let k = i + 1; k < size; k++) x[i] = (x[i] as number) - at(k, i) * (x[k] as number);
      x[i] = (x[i] as number) / at(i, i);
    }
    return x;
  };
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
