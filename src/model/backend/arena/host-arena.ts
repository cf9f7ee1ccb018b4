import type { Memory } from '../../../runtime/ort/memory.js';
import type { Runtime } from '../../../runtime/ort/runtime.js';
import type { Binding } from '../../../runtime/ort/session.js';
import type { AttentionGroup } from '../../graph-names.js';
import { ArenaCopy, type KvArena } from './kv-arena.js';
import { KvBlocks, type KvLayout } from './kv-blocks.js';

/** A KV arena in the CPU's memory. The operating system commits a page when it is first written. */
export class HostArena implements KvArena {
  readonly #blocks: KvBlocks<Memory>;
  /** The same memory, to copy within. */
  readonly #bytes: Uint8Array[];

  constructor(
    runtime: Runtime,
    private readonly layout: KvLayout,
  ) {
    this.#blocks = new KvBlocks(runtime, layout, (bytes) => runtime.allocate(bytes));
    this.#bytes = this.#blocks.memory.map((block) => block.bytesAt(0, block.bytes));
  }

  async prepare(): Promise<void> {
    // Every slot is an address: all of them can be bound at any time.
  }

  bind(binding: Binding, group: AttentionGroup, first: number, count: number, nodes: number): void {
    this.#blocks.bind(binding, group, first, count, nodes);
  }

  async copy(from: number, to: number, length: number, shared = 0): Promise<void> {
    const { site, positions } = this.layout;
    const heads = site.kvHeads;
    const headBytes = this.#blocks.slotBytes / heads;
    const positionBytes = headBytes / positions;
    for (const block of this.#bytes) {
      for (let h = 0; h < heads; h++) {
        const source = (from * heads + h) * headBytes;
        const target = (to * heads + h) * headBytes;
        block.copyWithin(
          target + shared * positionBytes,
          source + shared * positionBytes,
          source + length * positionBytes,
        );
      }
    }
  }

  async read(slot: number, from: number, length: number): Promise<ArenaCopy> {
    const values = new Uint8Array(this.#blocks.copyBytes(length));
    this.#eachRun(slot, from, length, (run, at) => values.set(run, at));
    return new ArenaCopy(length, values);
  }

  async write(slot: number, from: number, copy: ArenaCopy): Promise<void> {
    this.#blocks.checkCopy(copy);
    this.#eachRun(slot, from, copy.length, (run, at) => run.set(copy.values.subarray(at, at + run.length)));
  }

  /**
   * Calls `use` with the bytes of some positions that lie together: those of each head, of a layer's keys and of its values; `at` is
   * where they are in an `ArenaCopy`.
   */
  #eachRun(slot: number, from: number, length: number, use: (run: Uint8Array, at: number) => void): void {
    const { site, positions } = this.layout;
    const heads = site.kvHeads;
    const headBytes = this.#blocks.slotBytes / heads;
    const positionBytes = headBytes / positions;
    this.#bytes.forEach((block, index) => {
      for (let h = 0; h < heads; h++) {
        const start = (slot * heads + h) * headBytes + from * positionBytes;
        use(block.subarray(start, start + length * positionBytes), (index * heads + h) * length * positionBytes);
      }
    });
  }

  dispose(): void {
    this.#blocks.dispose();
  }
}
