import { type ModelShape, rowWidth, selfSite } from '../prefix/kv.js';

/**
 * Kinds of trained rows. `prefix`: keys and values of every layer before the prompt; `infix`: before the prompt's last token;
 * `embedding`: input embeddings before the prompt, from which the frozen model computes keys and values.
 */
export const METHODS = ['prefix', 'embedding', 'infix'] as const;
export type Method = (typeof METHODS)[number];

/** Shape of the trained rows. */
export interface TunedShape {
  readonly method: Method;
  /** Virtual tokens P. */
  readonly length: number;
  /** Width of the hidden layer of the MLP that the rows come from while they are trained (section 4.3); 0 for none. */
  readonly mlp: number;
}

/** Names of the trained tensors, and of the exported one. */
export type ParameterName = 'rows' | 'wte' | 'w0' | 'b0' | 'w2' | 'b2';

/** Columns of a row that is exported: `rowWidth(site)` of keys and values, or `width` of an embedding. */
export function exportedColumns(frozen: ModelShape, method: Method): number {
  return method === 'embedding' ? frozen.width : rowWidth(selfSite(frozen));
}

/**
 * The trained tensors by name. With an MLP, as Li & Liang's code lays it out: `rows = tanh(wte @ w0' + b0) @ w2' + b2`,
 * `wte` `[P, width]`, `w0` `[mlp, width]`, `w2` `[columns, mlp]`.
 */
export function parameterShapes(
  frozen: ModelShape,
  { method, length, mlp }: TunedShape,
): Partial<Record<ParameterName, readonly number[]>> {
  const columns = exportedColumns(frozen, method);
  if (mlp === 0) return { rows: [length, columns] };
  return {
    wte: [length, frozen.width],
    w0: [mlp, frozen.width],
    b0: [mlp],
    w2: [columns, mlp],
    b2: [columns],
  };
}

/** Numbers that are trained. */
export function parameterCount(frozen: ModelShape, shape: TunedShape): number {
  return Object.values(parameterShapes(frozen, shape)).reduce((sum, dims) => sum + dims.reduce((a, b) => a * b, 1), 0);
}
