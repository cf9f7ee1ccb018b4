import type { Inverse, Size } from '../../onnx/autodiff/rule.js';
import type { GraphBuilder, Value } from '../../onnx/graph.js';
import type { AttentionSite } from '../../prefix/kv.js';
import { sizeOf } from './attention.js';

/**
 * Padding of packed rows for attention in a site's heads, and back: see `Padding`, of one part. Its inputs are `NAME_pad`, `NAME_unpad` and,
 * for gradients, `NAME_pad_back` and `NAME_unpad_back`.
 */
export class PaddedRows {
  readonly #pad: Value;
  readonly #shapes: [Value, readonly Size[]][] = [];
  #unpad: Value | undefined;
  #length: Value | undefined;

  constructor(
    private readonly graph: GraphBuilder,
    private readonly name: string,
    private readonly site: AttentionSite,
  ) {
    this.#pad = graph.input(`${name}_pad`, 'int32', [`${name}_rows`, site.kvHeads, `${name}_row`]);
  }

  /** The indices of `pad`, whose first dimension is the batch's rows. */
  get indices(): Value {
    return this.#pad;
  }

  /** [N, heads * headDim] to [B, heads, T, headDim]. */
  pad(packed: Value): Value {
    const { graph } = this;
    const { kvHeads: heads, headDim } = this.site;
    const padded = graph.node('Gather', [graph.node('Reshape', [packed, this.#pieces()]), this.#pad]);
    this.#length ??= sizeOf(graph, this.#pad, 2);
    this.#shapes.push([packed, [-1, heads * headDim]], [padded, [-1, heads, this.#length, headDim]]);
    return padded;
  }

  /** [B, heads, T, headDim] to [N, heads * headDim]. */
  unpad(padded: Value): Value {
    const { graph, name } = this;
    const { kvHeads: heads, headDim } = this.site;
    this.#unpad ??= graph.input(`${name}_unpad`, 'int32', [`${name}_tokens`, heads]);
    const byToken = graph.node('Gather', [graph.node('Reshape', [padded, this.#pieces()]), this.#unpad]);
    return graph.node('Reshape', [byToken, graph.int64([-1, heads * headDim])]);
  }

  /** Indices that take gradients back through what was written. */
  inverses(): [Value, Inverse][] {
    const { graph, name } = this;
    const back: [Value, Inverse][] = [
      [this.#pad, { index: graph.input(`${name}_pad_back`, 'int32', [`${name}_pieces`]), zeros: false }],
    ];
    if (this.#unpad === undefined) return back;
    const index = graph.input(`${name}_unpad_back`, 'int32', [`${name}_padded`]);
    return [...back, [this.#unpad, { index, zeros: true }]];
  }

  /** Shapes of what was padded, before and after. */
  get shapes(): readonly [Value, readonly Size[]][] {
    return this.#shapes;
  }

  #pieces(): Value {
    return this.graph.int64([-1, this.site.headDim]);
  }
}
