import type { DeviceMemory } from '../../../runtime/ort/device.js';
import type { Runtime } from '../../../runtime/ort/runtime.js';
import { ScratchTensors } from '../../../runtime/ort/scratch-tensors.js';
import type { Binding, Session } from '../../../runtime/ort/session.js';
import type { AnyTensor, Tensor } from '../../../runtime/ort/tensor.js';
import { loadGraph, storeGraph } from '../copy-graphs.js';
import { ArenaCopy } from './kv-arena.js';
import type { KvBlocks, KvLayout } from './kv-blocks.js';
import type { OpenGraph } from '../backend.js';

/** The first of some consecutive positions of a slot. */
interface SlotPosition {
  readonly slot: number;
  readonly from: number;
}

/** Moves positions of a slot between a device and the CPU, as rows: one head's keys or values at one position. */
export class SlotRows {
  readonly #loading: Binding;
  readonly #storing: Binding;

  /**
   * @param loader runs `loadGraph`
   * @param storer runs `storeGraph`
   */
  constructor(
    private readonly runtime: Runtime,
    private readonly layout: KvLayout,
    private readonly loader: Session,
    private readonly storer: Session,
  ) {
    this.#loading = loader.bind();
    this.#storing = storer.bind();
  }

  static async open(runtime: Runtime, layout: KvLayout, open: OpenGraph): Promise<SlotRows> {
    const blocks = 2 * layout.site.layers;
    const loader = await open(loadGraph(layout.precision, blocks));
    return new SlotRows(runtime, layout, loader, await open(storeGraph(layout.precision, blocks)));
  }

  async read(blocks: KvBlocks<DeviceMemory>, start: SlotPosition, length: number): Promise<ArenaCopy> {
    const scratch = new ScratchTensors(this.runtime);
    try {
      this.#loading.input('rows', this.#rows(scratch, start, length, [this.layout.site.kvHeads * length]));
      const targets = this.#arenaRows(blocks).map((source, i) => {
        const target = this.#values(scratch, length);
        this.#loading.input(`source_${i}`, source).output(`target_${i}`, target);
        return target;
      });
      await this.loader.run(this.#loading);
      const values = new Uint8Array(blocks.copyBytes(length));
      targets.forEach(({ memory }, i) => values.set(memory.bytesAt(0, memory.bytes), i * memory.bytes));
      return new ArenaCopy(length, values);
    } finally {
      scratch.dispose();
    }
  }

  async write(blocks: KvBlocks<DeviceMemory>, start: SlotPosition, copy: ArenaCopy): Promise<void> {
    blocks.checkCopy(copy);
    const { length, values } = copy;
    const scratch = new ScratchTensors(this.runtime);
    try {
      this.#storing.input('rows', this.#rows(scratch, start, length, [this.layout.site.kvHeads * length, 1]));
      this.#arenaRows(blocks).forEach((rows, i) => {
        const source = this.#values(scratch, length);
        const { memory } = source;
        memory.bytesAt(0, memory.bytes).set(values.subarray(i * memory.bytes, (i + 1) * memory.bytes));
        this.#storing.input(`arena_${i}`, rows).output(`stored_${i}`, rows).input(`source_${i}`, source);
      });
      await this.storer.run(this.#storing);
    } finally {
      scratch.dispose();
    }
  }

  dispose(): void {
    this.#loading.dispose();
    this.#storing.dispose();
  }

  #arenaRows(blocks: KvBlocks<DeviceMemory>): readonly AnyTensor[] {
    const rowLength = this.layout.site.headDim;
    return blocks.views([blocks.numElements / rowLength, rowLength]);
  }

  /** Room for the rows of one block, on the CPU. */
  #values(scratch: ScratchTensors, length: number): Tensor {
    const { kvHeads, headDim } = this.layout.site;
    return scratch.make(this.layout.precision, [kvHeads * length, headDim]);
  }

  /** Which rows of a block they are. */
  #rows(scratch: ScratchTensors, { slot, from }: SlotPosition, length: number, shape: readonly number[]): Tensor {
    const { site, positions } = this.layout;
    const rows = Array.from({ length: site.kvHeads * length }, (_, row) => {
      const [head, position] = [Math.floor(row / length), row % length];
      return BigInt((slot * site.kvHeads + head) * positions + from + position);
    });
    return scratch.make('int64', shape, (memory) => memory.int64(0, rows.length).set(rows));
  }
}
