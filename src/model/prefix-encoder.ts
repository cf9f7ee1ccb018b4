import { type ModelShape, type PrefixEncoder, type PrefixKv, rowWidth, selfKv, selfSite } from '../prefix/kv.js';
import type { Runtime } from '../runtime/ort/runtime.js';
import { ScratchTensors } from '../runtime/ort/scratch-tensors.js';
import type { Session } from '../runtime/ort/session.js';

/** An encoder-decoder's: no text or soft prompt has keys and values of its own there, because the encoder sees the source beside it. */
export const NO_PREFIX_ENCODER: PrefixEncoder = {
  encodeTokens: refuse,
  encodeEmbeddings: refuse,
};

function refuse(): Promise<never> {
  return Promise.reject(new RangeError('an encoder-decoder computes no keys and values of virtual tokens'));
}

/** Runs virtual tokens through the frozen model, beside the engine: it touches no slot. */
export class OnnxPrefixEncoder implements PrefixEncoder {
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly runtime: Runtime,
    private readonly shape: ModelShape,
    private readonly session: Session,
    /** The embedding of a token, `[width]`. */
    private readonly embedding: (id: number) => Float32Array,
  ) {}

  encodeTokens(tokens: readonly number[]): Promise<PrefixKv> {
    const { width, vocabularySize } = this.shape;
    const embeddings = new Float32Array(tokens.length * width);
    tokens.forEach((id, index) => {
      if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) throw new RangeError(`token id ${id}`);
      embeddings.set(this.embedding(id), index * width);
    });
    return this.encodeEmbeddings(embeddings, tokens.length);
  }

  /** Calls queue up: one runs at a time. Throws RangeError when the embeddings are not `[length, width]`. */
  encodeEmbeddings(embeddings: Float32Array, length: number): Promise<PrefixKv> {
    const { width, contextLength } = this.shape;
    if (length < 1 || length > contextLength || embeddings.length !== length * width) {
      throw new RangeError(
        `${embeddings.length} values are not [${length}, ${width}] within ${contextLength} positions`,
      );
    }
    const run = this.#last.then(() => this.#run(embeddings, length));
    this.#last = run.catch(() => undefined); // the caller gets the error; the next call does not
    return run;
  }

  async #run(embeddings: Float32Array, length: number): Promise<PrefixKv> {
    const { width } = this.shape;
    const columns = rowWidth(selfSite(this.shape));
    const tensors = new ScratchTensors(this.runtime);
    const binding = this.session.bind();
    try {
      binding.input(
        'embeddings',
        tensors.make('float32', [length, width], (m) => m.float32(0, length * width).set(embeddings)),
      );
      const positions = BigInt64Array.from({ length }, (_, position) => BigInt(position));
      binding.input(
        'positions',
        tensors.make('int64', [length], (m) => m.int64(0, length).set(positions)),
      );
      binding.input(
        'rows_lengths',
        tensors.make('int32', [1], (m) => m.int32(0, 1).fill(length - 1)),
      );
      binding.input(
        'rows_longest',
        tensors.make('int32', [1], (m) => m.int32(0, 1).fill(length)),
      );
      const prefix = tensors.make('float32', [length, columns]);
      binding.output('prefix', prefix);
      await this.session.run(binding);
      return selfKv(length, prefix.memory.float32(0, length * columns).slice());
    } finally {
      binding.dispose();
      tensors.dispose();
    }
  }
}
