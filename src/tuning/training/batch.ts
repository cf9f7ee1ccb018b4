import { type ModelShape, selfSite } from '../../prefix/kv.js';
import type { TokenExample } from '../data/example.js';
import { LOSS_CHUNKS } from '../graph/loss.js';
import { MASKED } from '../graph/attention.js';
import { makePadding, type Padding } from './padding.js';
import type { TunedShape } from '../method.js';

/** Inputs of one run of the training graph; see `trainingGraph` for their meaning. */
export interface Batch {
  /** Token ids of all rows, one row after another. */
  readonly ids: Int32Array;
  readonly positions: Int32Array;
  readonly virtualPositions: Int32Array;
  readonly padding: Padding;
  readonly mask: Float32Array;
  readonly maskShape: readonly number[];
  readonly keep: Int32Array;
  readonly keepBack: Int32Array;
  readonly targets: Int32Array;
  readonly weights: Float32Array;
  /** Learned tokens; the rest of `keep` up to a whole number of chunks weighs nothing. */
  readonly learned: number;
}

/** Tokens of an example that the model reads: all but the last target. */
export function inputLength({ source, target }: TokenExample): number {
  return source.length + target.length - 1;
}

/**
 * Packs examples, one after another. Only target tokens are learned; each weighs 1 / rows, so that the loss is the sum over a
 * sentence and the mean over the batch (Li & Liang's code, objective mode 1).
 */
export function makeBatch(examples: readonly TokenExample[], frozen: ModelShape, shape: TunedShape): Batch {
  const rows = examples.length;
  const lengths = examples.map(inputLength);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const learned = examples.reduce((sum, { target }) => sum + target.length, 0);
  const kept = Math.ceil(learned / LOSS_CHUNKS) * LOSS_CHUNKS;
  const ids = new Int32Array(tokens);
  const positions = new Int32Array(tokens);
  const keep = new Int32Array(kept);
  const keepBack = new Int32Array(tokens).fill(kept);
  const targets = new Int32Array(kept);
  const weights = new Float32Array(kept);
  let [start, at] = [0, 0];
  for (const example of examples) {
    const { source, target } = example;
    ids.set([...source, ...target.slice(0, -1)], start);
    const first = shape.method === 'infix' ? source.length - 1 : 0; // from here on, tokens stand behind the virtual ones
    for (let t = 0; t < inputLength(example); t++) positions[start + t] = t < first ? t : t + shape.length;
    target.forEach((id, t) => {
      const index = start + source.length - 1 + t;
      keep[at] = index;
      keepBack[index] = at;
      targets[at] = id;
      weights[at++] = 1 / rows;
    });
    start += inputLength(example);
  }
  return {
    ids,
    positions,
    virtualPositions: Int32Array.from({ length: shape.length }, (_, position) => position),
    padding: makePadding(lengths, selfSite(frozen).kvHeads),
    ...makeMask(examples, Math.max(...lengths), shape),
    keep,
    keepBack,
    targets,
    weights,
    learned,
  };
}

/** Causal, behind virtual tokens that all tokens see, or, for an infix, those from the source's last one on. */
function makeMask(
  examples: readonly TokenExample[],
  width: number,
  { method, length }: TunedShape,
): Pick<Batch, 'mask' | 'maskShape'> {
  const infix = method === 'infix';
  const masks = infix ? examples.length : 1;
  const seen = length + width;
  const mask = new Float32Array(masks * width * seen);
  for (let m = 0; m < masks; m++) {
    const first = infix ? (examples[m] as TokenExample).source.length - 1 : 0;
    for (let t = 0; t < width; t++) {
      const row = (m * width + t) * seen;
      if (t < first) mask.fill(MASKED, row, row + length);
      mask.fill(MASKED, row + length + t + 1, row + seen);
    }
  }
  return { mask, maskShape: [masks, 1, width, seen] };
}
