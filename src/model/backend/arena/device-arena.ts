import type { Device, DeviceMemory } from '../../../runtime/ort/device.js';
import type { Runtime } from '../../../runtime/ort/runtime.js';
import { ScratchTensors } from '../../../runtime/ort/scratch-tensors.js';
import type { Binding, Session } from '../../../runtime/ort/session.js';
import type { AttentionGroup } from '../../graph-names.js';
import type { AnyTensor } from '../../../runtime/ort/tensor.js';
import { copyGraph } from '../copy-graphs.js';
import type { ArenaCopy, KvArena } from './kv-arena.js';
import { KvBlocks, type KvLayout } from './kv-blocks.js';
import type { OpenGraph } from '../backend.js';
import { SlotRows } from './slot-rows.js';

/** A KV arena on a device whose memory has addresses: any run of slots can be bound. */
export class DeviceArena implements KvArena {
  readonly #binding: Binding;

  private constructor(
    private readonly blocks: KvBlocks<DeviceMemory>,
    private readonly copier: Session,
    private readonly rows: SlotRows,
  ) {
    this.#binding = copier.bind();
  }

  static async open(runtime: Runtime, device: Device, layout: KvLayout, open: OpenGraph): Promise<DeviceArena> {
    const copier = await open(copyGraph(layout.precision, 2 * layout.site.layers));
    const blocks = new KvBlocks(runtime, layout, (bytes) => device.allocate(bytes));
    const arena = new DeviceArena(blocks, copier, await SlotRows.open(runtime, layout, open));
    await arena.#clear(runtime, layout);
    return arena;
  }

  async prepare(): Promise<void> {
    // Every slot is an address: all of them can be bound at any time.
  }

  bind(binding: Binding, group: AttentionGroup, first: number, count: number, nodes: number): void {
    this.blocks.bind(binding, group, first, count, nodes);
  }

  /** Copies the whole slot: bandwidth is what a device has. */
  async copy(from: number, to: number): Promise<void> {
    await this.#copy(this.#slot(from), to);
  }

  read(slot: number, from: number, length: number): Promise<ArenaCopy> {
    return this.rows.read(this.blocks, { slot, from }, length);
  }

  write(slot: number, from: number, copy: ArenaCopy): Promise<void> {
    return this.rows.write(this.blocks, { slot, from }, copy);
  }

  dispose(): void {
    this.#binding.dispose();
    this.rows.dispose();
    this.blocks.dispose();
  }

  /** Fills the arena with zeros: attention multiplies masked positions by 0, and 0 times NaN is NaN. */
  async #clear(runtime: Runtime, { slots, precision }: KvLayout): Promise<void> {
    const scratch = new ScratchTensors(runtime);
    try {
      const { slotLength, slotBytes, memory } = this.blocks;
      const zeros = scratch.make(precision, [slotLength], (zero) => zero.bytesAt(0, slotBytes).fill(0));
      await this.#copy(new Array<AnyTensor>(memory.length).fill(zeros), 0);
      for (let slot = 1; slot < slots; slot++) await this.copy(0, slot);
    } finally {
      scratch.dispose();
    }
  }

  async #copy(sources: readonly AnyTensor[], to: number): Promise<void> {
    const targets = this.#slot(to);
    sources.forEach((source, i) => {
      this.#binding.input(`source_${i}`, source).output(`target_${i}`, targets[i] as AnyTensor);
    });
    await this.copier.run(this.#binding);
  }

  #slot(slot: number): readonly AnyTensor[] {
    return this.blocks.views([this.blocks.slotLength], slot);
  }
}
