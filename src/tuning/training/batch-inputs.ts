/** Indices, and the shape that they have as an input of a graph. */
export interface IndexInput {
  readonly data: Int32Array;
  readonly shape: readonly number[];
}

/** Numbers, and the shape that they have as an input of a graph. */
export interface FloatInput {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** Inputs of one run of a training graph: see `trainingGraph` and `writeSourceGraph` for their meaning. */
export interface Batch {
  /** By the names of the graph's inputs; a graph without gradients has only some of them. */
  readonly inputs: Readonly<Record<string, IndexInput | FloatInput>>;
  /** Rows of the output `losses`, of which the first `learned` count. */
  readonly kept: number;
  readonly learned: number;
  /** Tokens that the model reads, without padding. */
  readonly tokens: number;
}

/** Indices of one dimension. */
export function indexInput(data: Int32Array): IndexInput {
  return { data, shape: [data.length] };
}
