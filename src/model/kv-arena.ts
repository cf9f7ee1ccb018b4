import type { Memory } from '../runtime/memory.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Binding } from '../runtime/session.js';
import { ELEMENT_TYPES, Tensor } from '../runtime/tensor.js';
import type { Gpt2Config } from './config.js';
import { kvName } from './graphs.js';
import type { KvPrecision } from './precision.js';

/**
 * Keys and values of all slots: for each layer one tensor of keys and one of values, `[slots, heads, context, headDim]`.
 * Allocated once; the operating system commits a page when it is first written. Sessions update it in place.
 */
export class KvArena {
  /** Index 2 * layer is a layer's keys, 2 * layer + 1 its values. */
  readonly #blocks: Memory[];
  /** The same memory, to copy within. */
  readonly #bytes: Uint8Array[];
  /** Views of `count` slots from slot `first`, made once: `first/count` to one tensor per block. */
  readonly #views = new Map<string, Tensor[]>();
  readonly #headDim: number;
  /** Bytes of one key or value of one head. */
  readonly #vectorBytes: number;

  constructor(
    private readonly runtime: Runtime,
    private readonly config: Gpt2Config,
    readonly slots: number,
    private readonly precision: KvPrecision = 'float32',
  ) {
    this.#headDim = config.width / config.heads;
    this.#vectorBytes = this.#headDim * ELEMENT_TYPES[precision].bytes;
    this.#blocks = Array.from({ length: 2 * config.layers }, () => runtime.allocate(slots * this.#slotBytes));
    this.#bytes = this.#blocks.map((block) => block.bytesAt(0, block.bytes));
  }

  /** Binds slots `first` to `first + count - 1` as past and present of an attention group. */
  bind(binding: Binding, group: 'rows' | 'chunk', first: number, count: number): void {
    this.#view(first, count).forEach((tensor, index) => {
      const layer = index >> 1;
      const kv = (index & 1) as 0 | 1;
      binding.input(kvName('past', group, layer, kv), tensor).output(kvName('present', group, layer, kv), tensor);
    });
  }

  /** Copies the first `length` positions of a slot to another one. */
  copy(from: number, to: number, length: number): void {
    const { heads, contextLength } = this.config;
    const headBytes = contextLength * this.#vectorBytes;
    for (const block of this.#bytes) {
      for (let h = 0; h < heads; h++) {
        const source = (from * heads + h) * headBytes;
        block.copyWithin((to * heads + h) * headBytes, source, source + length * this.#vectorBytes);
      }
    }
  }

  dispose(): void {
    for (const view of this.#views.values()) for (const tensor of view) tensor.dispose();
    this.#views.clear();
    for (const block of this.#blocks) block.dispose();
  }

  get #slotBytes(): number {
    return this.config.heads * this.config.contextLength * this.#vectorBytes;
  }

  #view(first: number, count: number): Tensor[] {
    const key = `${first}/${count}`;
    const existing = this.#views.get(key);
    if (existing !== undefined) return existing;
    const shape = [count, this.config.heads, this.config.contextLength, this.#headDim];
    const view = this.#blocks.map(
      (block) => new Tensor(this.runtime, this.precision, shape, block, first * this.#slotBytes),
    );
    this.#views.set(key, view);
    return view;
  }
}
