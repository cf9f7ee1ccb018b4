import type { Device, DeviceMemory } from '../../runtime/ort/device.js';
import type { Memory } from '../../runtime/ort/memory.js';
import type { Runtime } from '../../runtime/ort/runtime.js';
import type { Binding, Session } from '../../runtime/ort/session.js';
import { Tensor } from '../../runtime/ort/tensor.js';
import { loadGraph } from './copy-graphs.js';
import type { Logits } from './logits.js';
import type { OpenGraph } from './backend.js';

/** Logits that stay on a device: a row comes to the CPU when somebody asks for it. */
export class DeviceLogits implements Logits {
  readonly #binding: Binding;
  readonly #row: Memory;
  readonly #index: Memory;
  readonly #fixed: readonly Tensor[];
  /** `[rows, vocabulary]` of the last step, and its memory, which grows with the largest step so far. */
  #logits: Tensor<DeviceMemory> | undefined;
  #memory: DeviceMemory | undefined;

  private constructor(
    private readonly runtime: Runtime,
    private readonly device: Device,
    private readonly vocabularySize: number,
    private readonly loader: Session,
  ) {
    this.#binding = loader.bind();
    this.#row = runtime.allocate(vocabularySize * 4);
    this.#index = runtime.allocate(8);
    const row = new Tensor(runtime, 'float32', [1, vocabularySize], this.#row);
    const index = new Tensor(runtime, 'int64', [1], this.#index);
    this.#binding.output('target_0', row);
    this.#fixed = [row, index];
  }

  static async open(runtime: Runtime, device: Device, vocabularySize: number, open: OpenGraph): Promise<DeviceLogits> {
    return new DeviceLogits(runtime, device, vocabularySize, await open(loadGraph('float32', 1)));
  }

  bind(binding: Binding, rows: number): void {
    const bytes = rows * this.vocabularySize * 4;
    this.#logits?.dispose();
    if (this.#memory === undefined || this.#memory.bytes < bytes) {
      this.#memory?.dispose();
      this.#memory = undefined;
      this.#memory = this.device.allocate(bytes);
    }
    this.#logits = new Tensor(this.runtime, 'float32', [rows, this.vocabularySize], this.#memory);
    binding.output('logits', this.#logits);
  }

  row(index: number): Float32Array {
    if (this.#logits === undefined) throw new Error('there was no step');
    this.#index.int64(0, 1)[0] = BigInt(index);
    this.#binding.input('rows', this.#fixed[1] as Tensor).input('source_0', this.#logits);
    this.loader.runNow(this.#binding);
    return this.#row.float32(0, this.vocabularySize).slice();
  }

  dispose(): void {
    this.#binding.dispose();
    for (const tensor of this.#fixed) tensor.dispose();
    this.#logits?.dispose();
    for (const memory of [this.#row, this.#index, this.#memory]) memory?.dispose();
  }
}
