import type { KvCopy } from '../../../engine/runner.js';
import type { AttentionSite } from '../../../prefix/kv.js';
import type { TensorMemory } from '../../../runtime/ort/memory.js';
import type { Runtime } from '../../../runtime/ort/runtime.js';
import type { Binding } from '../../../runtime/ort/session.js';
import { type AnyTensor, ELEMENT_TYPES, Tensor } from '../../../runtime/ort/tensor.js';
import { type AttentionGroup, kvName, nodeName } from '../../graph-names.js';
import type { KvPrecision } from '../../precision.js';

/** The layout of a KV arena. */
export interface KvLayout {
  readonly site: AttentionSite;
  /** Positions of a slot. */
  readonly positions: number;
  readonly slots: number;
  readonly precision: KvPrecision;
}

/** One block of memory for each layer's keys and one for its values, and views of the slots in them. */
export class KvBlocks<M extends TensorMemory & { dispose(): void }> {
  /** Index 2 * layer is a layer's keys, 2 * layer + 1 its values. */
  readonly memory: readonly M[];
  /** Numbers in one slot of one block: heads * context * headDim. */
  readonly slotLength: number;
  readonly slotBytes: number;
  /** Numbers in one block, all slots. */
  readonly numElements: number;
  /** Views, made once, by their first slot and shape: one tensor per block. */
  readonly #views = new Map<string, readonly AnyTensor[]>();

  constructor(
    private readonly runtime: Runtime,
    private readonly layout: KvLayout,
    allocate: (bytes: number) => M,
  ) {
    const { site, positions, slots, precision } = layout;
    this.slotLength = site.kvHeads * positions * site.headDim;
    this.slotBytes = this.slotLength * ELEMENT_TYPES[precision].bytes;
    this.numElements = slots * this.slotLength;
    this.memory = Array.from({ length: 2 * site.layers }, () => allocate(slots * this.slotBytes));
  }

  /** Bytes that `length` positions of a slot have in all blocks. */
  copyBytes(length: number): number {
    return (this.memory.length * this.slotBytes * length) / this.layout.positions;
  }

  /** @throws TypeError for a copy of an arena of another layout */
  checkCopy({ length, bytes }: KvCopy): void {
    if (bytes !== this.copyBytes(length)) throw new TypeError('the copy is of another model');
  }

  /** Binds slots `first` to `first + count - 1` as the past of an attention group and the present of each of its nodes. */
  bind(binding: Binding, group: AttentionGroup, first: number, count: number, nodes: number): void {
    const { site, positions } = this.layout;
    this.views([count, site.kvHeads, positions, site.headDim], first).forEach((tensor, index) => {
      const layer = index >> 1;
      const kv = (index & 1) as 0 | 1;
      binding.input(kvName('past', group, layer, kv), tensor);
      for (let node = 0; node < nodes; node++) {
        binding.output(kvName('present', nodeName(group, node), layer, kv), tensor);
      }
    });
  }

  /** Each block from slot `first` on as a tensor of `shape`; valid until the blocks are disposed. */
  views(shape: readonly number[], first = 0): readonly AnyTensor[] {
    const key = `${first}/${shape.join()}`;
    const existing = this.#views.get(key);
    if (existing !== undefined) return existing;
    const { precision } = this.layout;
    const views = this.memory.map(
      (block) => new Tensor<TensorMemory>(this.runtime, precision, shape, block, first * this.slotBytes),
    );
    this.#views.set(key, views);
    return views;
  }

  dispose(): void {
    for (const views of this.#views.values()) for (const tensor of views) tensor.dispose();
    this.#views.clear();
    for (const block of this.memory) block.dispose();
  }
}
