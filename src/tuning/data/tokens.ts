import type { Manifest } from '../../model/compile/compiled-model.js';
import type { TokenEncoder } from '../../tokenizer/token-encoder.js';
import { inputLength } from '../training/batch.js';
import { type DataSubject, TuningError } from '../errors.js';
import type { TextOrIds, TokenExample, TrainingExample } from './example.js';
import { yieldBetween } from '../../lib/yield-between.js';

export interface TokenOptions {
  readonly encoder: TokenEncoder;
  /** The frozen model's. */
  readonly manifest: Pick<Manifest, 'eosTokenIds' | 'shape'>;
  /** Virtual tokens, which take positions of the context. */
  readonly length: number;
  /** Purpose of the examples, for errors. */
  readonly subject: DataSubject;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One example of ids for each target; the end token is appended to it. Source and target are encoded apart, as a served
 * prompt is. Throws `TuningError` naming the example that is empty, has an unknown id or does not fit the context, and the
 * signal's reason.
 */
export async function tokenExamples(
  examples: readonly TrainingExample[],
  options: TokenOptions,
): Promise<TokenExample[]> {
  const { manifest, subject, signal } = options;
  const [end] = manifest.eosTokenIds;
  if (end === undefined) throw new TuningError('model', 'it has no end token to learn');
  const encode = (example: TrainingExample, index: number): TokenExample[] =>
    encodeExample(example, end, example.where ?? `example ${index + 1}`, options);
  const result = (await yieldBetween(examples, encode, signal)).flat();
  if (result.length === 0) throw new TuningError(subject, 'no examples');
  return result;
}

function encodeExample(
  { source, targets }: TrainingExample,
  end: number,
  where: string,
  { encoder, manifest, length, subject }: TokenOptions,
): TokenExample[] {
  const { contextLength, vocabularySize } = manifest.shape;
  const refuse = (problem: string): TuningError => new TuningError(subject, problem, { where });
  const refuseTooLong = (tokens: number, atLeast = ''): void => {
    const needed = tokens + length;
    if (needed <= contextLength) return;
    throw refuse(`${atLeast}${needed} tokens with the ${length} virtual ones; the context has ${contextLength}`);
  };
  /** Refuses a text that cannot fit behind `behind` tokens before it is encoded. */
  const ids = (text: TextOrIds, behind = 0): readonly number[] => {
    if (typeof text === 'string') refuseTooLong(behind + encoder.minTokens(text), 'at least ');
    const encoded = typeof text === 'string' ? encoder.encode(text) : text;
    const unknown = encoded.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
    if (unknown !== undefined) throw refuse(`token id ${unknown} is not in the vocabulary of ${vocabularySize}`);
    return encoded;
  };
  const prompt = ids(source);
  if (prompt.length === 0) throw refuse('the prompt has no token');
  return targets.map((target) => {
    const example = { source: prompt, target: [...ids(target, prompt.length), end] };
    refuseTooLong(inputLength(example));
    return example;
  });
}
