import { CROSS, DECODER, ENCODER, type ModelShape, siteNamed } from '../../prefix/kv.js';
import type { TokenExample } from '../data/example.js';
import { MASKED } from '../graph/attention.js';
import { type Batch, type FloatInput, type IndexInput, indexInput } from './batch-inputs.js';
import { learnedTokens } from './learned-tokens.js';
import { makePadding, type Padding } from './padding.js';

/**
 * Packs examples for the training graph of an encoder-decoder: the encoder reads the sources, the decoder its start tokens and all targets
 * but the last. Virtual tokens take no positions.
 * @param virtual virtual tokens at each site; none at a site that is not there
 * @param weight of each learned token in the loss
 */
export function makeSourceBatch(
  examples: readonly TokenExample[],
  frozen: ModelShape,
  virtual: Readonly<Record<string, number>>,
  weight: number,
): Batch {
  const sources = examples.map(({ source }) => source);
  const targets = examples.map(({ start = [], target }) => [...start, ...target.slice(0, -1)]);
  const [source, target] = [pack(sources), pack(targets)];
  let begin = 0;
  const rows = examples.map(({ start = [], target }, row) => {
    const first = begin + start.length - 1;
    begin += (targets[row] as number[]).length;
    return { first, target };
  });
  const heads = (site: string) => ({ heads: siteNamed(frozen, site).kvHeads, hasKeys: false });
  const { inputs, ...counts } = learnedTokens(rows, target.ids.data.length, weight);
  return {
    ...counts,
    tokens: source.ids.data.length + target.ids.data.length,
    inputs: {
      ...inputs,
      source_ids: source.ids,
      source_positions: source.positions,
      target_ids: target.ids,
      target_positions: target.positions,
      ...paddingInputs('encoder', makePadding(source.lengths, heads(ENCODER))),
      ...paddingInputs('source', makePadding(source.lengths, heads(CROSS))),
      ...paddingInputs('target', makePadding(target.lengths, heads(DECODER))),
      encoder_mask: sourceMask(source.lengths, virtual[ENCODER] ?? 0),
      cross_mask: sourceMask(source.lengths, virtual[CROSS] ?? 0),
      decoder_mask: causalMask(Math.max(...target.lengths), virtual[DECODER] ?? 0),
    },
  };
}

/** Rows of tokens, one after another. */
interface Packed {
  readonly ids: IndexInput;
  readonly positions: IndexInput;
  readonly lengths: readonly number[];
}

function pack(rows: readonly (readonly number[])[]): Packed {
  return {
    ids: indexInput(Int32Array.from(rows.flat())),
    positions: indexInput(Int32Array.from(rows.flatMap((row) => row.map((_, position) => position)))),
    lengths: rows.map(({ length }) => length),
  };
}

function paddingInputs(name: string, { pad, padBack, unpad, unpadBack }: Padding): Batch['inputs'] {
  return {
    [`${name}_pad`]: pad,
    [`${name}_pad_back`]: padBack,
    [`${name}_unpad`]: unpad,
    [`${name}_unpad_back`]: unpadBack,
  };
}

/** [B, 1, 1, virtual + S]: the padding behind each source is hidden, virtual tokens are not. */
function sourceMask(lengths: readonly number[], virtual: number): FloatInput {
  const seen = virtual + Math.max(...lengths);
  const data = new Float32Array(lengths.length * seen);
  lengths.forEach((length, row) => data.fill(MASKED, row * seen + virtual + length, (row + 1) * seen));
  return { data, shape: [lengths.length, 1, 1, seen] };
}

/** [1, 1, T, virtual + T]. */
function causalMask(width: number, virtual: number): FloatInput {
  const seen = virtual + width;
  const data = new Float32Array(width * seen);
  for (let t = 0; t < width; t++) data.fill(MASKED, t * seen + virtual + t + 1, (t + 1) * seen);
  return { data, shape: [1, 1, width, seen] };
}
