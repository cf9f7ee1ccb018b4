import type { Device, DeviceMemory } from '../../../runtime/ort/device.js';
import type { Memory } from '../../../runtime/ort/memory.js';
import type { Runtime } from '../../../runtime/ort/runtime.js';
import type { Binding, Session } from '../../../runtime/ort/session.js';
import type { AttentionGroup } from '../../graph-names.js';
import { type AnyTensor, Tensor } from '../../../runtime/ort/tensor.js';
import { loadGraph, storeGraph } from '../copy-graphs.js';
import type { ArenaCopy, KvArena, SlotUse } from './kv-arena.js';
import { KvBlocks, type KvLayout } from './kv-blocks.js';
import type { OpenGraph } from '../backend.js';
import { SlotRows } from './slot-rows.js';

/**
 * A KV arena on a device whose memory is a handle: the first slots can be bound, a slot among them cannot. One slot at a time
 * is therefore staged, in memory of its own: the one whose prompt is computed. It is stored in the arena when it starts to
 * decode, or when another one is staged.
 */
export class StagedArena implements KvArena {
  /** The slot that `stage` holds instead of the arena. */
  #staged: number | undefined;
  readonly #loading: Binding;
  readonly #storing: Binding;

  private constructor(
    private readonly layout: KvLayout,
    private readonly arena: KvBlocks<DeviceMemory>,
    private readonly stage: KvBlocks<DeviceMemory>,
    private readonly loader: Session,
    private readonly storer: Session,
    private readonly indices: SlotIndices,
    private readonly rows: SlotRows,
  ) {
    this.#loading = loader.bind();
    this.#storing = storer.bind();
  }

  static async open(runtime: Runtime, device: Device, layout: KvLayout, open: OpenGraph): Promise<StagedArena> {
    const blocks = 2 * layout.site.layers;
    const loader = await open(loadGraph(layout.precision, blocks));
    const storer = await open(storeGraph(layout.precision, blocks));
    const allocate = (bytes: number): DeviceMemory => device.allocate(bytes);
    const arena = new KvBlocks(runtime, layout, allocate);
    const stage = new KvBlocks(runtime, { ...layout, slots: 1 }, allocate);
    const rows = new SlotRows(runtime, layout, loader, storer);
    return new StagedArena(layout, arena, stage, loader, storer, new SlotIndices(runtime, layout), rows);
  }

  async prepare({ rows, single }: SlotUse): Promise<void> {
    if (this.#staged !== undefined && this.#staged < rows) await this.#store();
    if (single === undefined || this.#staged === single.slot) return;
    if (this.#staged !== undefined) await this.#store();
    if (single.past > 0) await this.#load(single.slot);
    this.#staged = single.slot;
  }

  bind(binding: Binding, group: AttentionGroup, first: number, count: number, nodes: number): void {
    if (count === 1 && first === this.#staged) this.stage.bind(binding, group, 0, 1, nodes);
    else this.arena.bind(binding, group, first, count, nodes);
  }

  async copy(from: number, to: number): Promise<void> {
    if (this.#staged === to) this.#staged = undefined; // what is overwritten need not be stored
    await this.prepare({ rows: 0, single: { slot: from, past: this.layout.positions } });
    await this.#writeTo(to);
  }

  read(slot: number, from: number, length: number): Promise<ArenaCopy> {
    if (slot === this.#staged) return this.rows.read(this.stage, { slot: 0, from }, length);
    return this.rows.read(this.arena, { slot, from }, length);
  }

  write(slot: number, from: number, copy: ArenaCopy): Promise<void> {
    if (slot === this.#staged) return this.rows.write(this.stage, { slot: 0, from }, copy);
    return this.rows.write(this.arena, { slot, from }, copy);
  }

  dispose(): void {
    this.#loading.dispose();
    this.#storing.dispose();
    this.rows.dispose();
    this.indices.dispose();
    this.arena.dispose();
    this.stage.dispose();
  }

  async #store(): Promise<void> {
    await this.#writeTo(this.#staged as number);
    this.#staged = undefined;
  }

  async #load(slot: number): Promise<void> {
    const { slotLength } = this.arena;
    this.#loading.input('rows', this.indices.slot(slot));
    const [sources, targets] = [this.arena.views([this.layout.slots, slotLength]), this.stage.views([1, slotLength])];
    sources.forEach((source, i) => {
      this.#loading.input(`source_${i}`, source).output(`target_${i}`, targets[i] as AnyTensor);
    });
    await this.loader.run(this.#loading);
  }

  /** Writes what is staged to a slot of the arena. */
  async #writeTo(slot: number): Promise<void> {
    const { rowsOfSlot, rowLength } = this.indices;
    this.#storing.input('rows', this.indices.rows(slot));
    const arena = this.arena.views([this.layout.slots * rowsOfSlot, rowLength]);
    const sources = this.stage.views([rowsOfSlot, rowLength]);
    arena.forEach((rows, i) => {
      this.#storing.input(`arena_${i}`, rows).output(`stored_${i}`, rows);
      this.#storing.input(`source_${i}`, sources[i] as AnyTensor);
    });
    await this.storer.run(this.#storing);
  }
}

/** Where a slot is in the arena, as the graphs that move it want to know: CPU tensors that each call writes again. */
class SlotIndices {
  /** A row is one head's keys or values at one position. */
  readonly rowsOfSlot: number;
  readonly rowLength: number;
  readonly #memory: Memory;
  readonly #values: BigInt64Array;
  readonly #slot: Tensor;
  readonly #rows: Tensor;

  constructor(runtime: Runtime, { site, positions }: KvLayout) {
    this.rowsOfSlot = site.kvHeads * positions;
    this.rowLength = site.headDim;
    this.#memory = runtime.allocate(this.rowsOfSlot * 8);
    this.#values = this.#memory.int64(0, this.rowsOfSlot);
    this.#slot = new Tensor(runtime, 'int64', [1], this.#memory);
    this.#rows = new Tensor(runtime, 'int64', [this.rowsOfSlot, 1], this.#memory);
  }

  slot(slot: number): Tensor {
    this.#values[0] = BigInt(slot);
    return this.#slot;
  }

  rows(slot: number): Tensor {
    for (let row = 0; row < this.rowsOfSlot; row++) this.#values[row] = BigInt(slot * this.rowsOfSlot + row);
    return this.#rows;
  }

  dispose(): void {
    this.#slot.dispose();
    this.#rows.dispose();
    this.#memory.dispose();
  }
}
