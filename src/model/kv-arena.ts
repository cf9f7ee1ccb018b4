import type { KvBlock } from '../engine/runner.js';
import type { Memory } from '../runtime/memory.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Binding } from '../runtime/session.js';
import { Tensor } from '../runtime/tensor.js';
import type { Gpt2Config } from './config.js';
import { kvName } from './graphs.js';

/** Keys and values of some positions of a slot of an arena, in memory of its own. */
export class ArenaBlock implements KvBlock {
  constructor(
    readonly length: number,
    /** `[2 * layers, heads, length, headDim]` */
    readonly values: Float32Array,
  ) {}

  get bytes(): number {
    return this.values.byteLength;
  }
}

/**
 * Keys and values of all slots: for each layer one tensor of keys and one of values, `[slots, heads, context, headDim]`.
 * Allocated once; the operating system commits a page when it is first written. Sessions update it in place.
 */
export class KvArena {
  /** Index 2 * layer is a layer's keys, 2 * layer + 1 its values. */
  readonly #blocks: Memory[];
  /** The same memory, to copy within. */
  readonly #floats: Float32Array[];
  /** Views of `count` slots from slot `first`, made once: `first/count` to one tensor per block. */
  readonly #views = new Map<string, Tensor[]>();
  readonly #headDim: number;

  constructor(
    private readonly runtime: Runtime,
    private readonly config: Gpt2Config,
    readonly slots: number,
  ) {
    this.#headDim = config.width / config.heads;
    this.#blocks = Array.from({ length: 2 * config.layers }, () => runtime.allocate(slots * this.#slotBytes));
    this.#floats = this.#blocks.map((block) => block.float32(0, block.bytes / 4));
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
    const head = contextLength * this.#headDim;
    for (const block of this.#floats) {
      for (let h = 0; h < heads; h++) {
        const source = (from * heads + h) * head;
        block.copyWithin((to * heads + h) * head, source, source + length * this.#headDim);
      }
    }
  }

  /** The keys and values of positions `from` to `from + length - 1` of a slot, outside of the arena. */
  read(slot: number, from: number, length: number): ArenaBlock {
    const size = length * this.#headDim;
    const values = new Float32Array(this.#floats.length * this.config.heads * size);
    this.#eachRun(slot, from, size, (run, index) => values.set(run, index * size));
    return new ArenaBlock(length, values);
  }

  /** Writes what `read` returned to the positions from `from` on of a slot. */
  write(slot: number, from: number, { length, values }: ArenaBlock): void {
    const size = length * this.#headDim;
    this.#eachRun(slot, from, size, (run, index) => run.set(values.subarray(index * size, (index + 1) * size)));
  }

  dispose(): void {
    for (const view of this.#views.values()) for (const tensor of view) tensor.dispose();
    this.#views.clear();
    for (const block of this.#blocks) block.dispose();
  }

  /** Calls `use` with the values of a slot's positions that lie together: those of each head, of keys and of values, of each layer. */
  #eachRun(slot: number, from: number, size: number, use: (run: Float32Array, index: number) => void): void {
    const { heads, contextLength } = this.config;
    this.#floats.forEach((block, index) => {
      for (let h = 0; h < heads; h++) {
        const start = ((slot * heads + h) * contextLength + from) * this.#headDim;
        use(block.subarray(start, start + size), index * heads + h);
      }
    });
  }

  get #slotBytes(): number {
    return this.config.contextLength * this.config.width * 4;
  }

  #view(first: number, count: number): Tensor[] {
    const key = `${first}/${count}`;
    const existing = this.#views.get(key);
    if (existing !== undefined) return existing;
    const shape = [count, this.config.heads, this.config.contextLength, this.#headDim];
    const view = this.#blocks.map(
      (block) => new Tensor(this.runtime, 'float32', shape, block, first * this.#slotBytes),
    );
    this.#views.set(key, view);
    return view;
  }
}
