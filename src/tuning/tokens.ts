import type { Gpt2Config } from '../model/config.js';
import { inputLength } from './batch.js';
import { TuningError } from './errors.js';
import type { TextOrIds, TokenExample, TrainingExample } from './example.js';

export interface TokenOptions {
  readonly encode: (text: string) => number[];
  readonly config: Pick<Gpt2Config, 'eosTokenIds' | 'vocabularySize' | 'contextLength'>;
  /** Virtual tokens, which take places of the context. */
  readonly length: number;
  /** What the examples are, for errors. */
  readonly name: string;
}

/**
 * One example of ids for each target; the end token is appended to it. Source and target are encoded apart, as a served
 * prompt is. Throws `TuningError` naming the example that is empty, has an unknown id or does not fit the context.
 */
export function tokenExamples(examples: readonly TrainingExample[], options: TokenOptions): TokenExample[] {
  const { config, length, name } = options;
  const [end] = config.eosTokenIds;
  if (end === undefined) throw new TuningError('the model has no end token to learn');
  const result = examples.flatMap(({ source, targets, where }, index) => {
    const refuse = (problem: string): TuningError =>
      new TuningError(`${where ?? `${name}: example ${index + 1}`}: ${problem}`);
    const ids = (text: TextOrIds): readonly number[] => {
      const encoded = typeof text === 'string' ? options.encode(text) : text;
      const unknown = encoded.find((id) => !Number.isInteger(id) || id < 0 || id >= config.vocabularySize);
      if (unknown !== undefined)
        throw refuse(`token id ${unknown} is not in the vocabulary of ${config.vocabularySize}`);
      return encoded;
    };
    const prompt = ids(source);
    if (prompt.length === 0) throw refuse('the prompt has no token');
    return targets.map((target) => {
      const example = { source: prompt, target: [...ids(target), end] };
      const needed = inputLength(example) + length;
      if (needed > config.contextLength) {
        throw refuse(`${needed} tokens with the ${length} virtual ones; the context has ${config.contextLength}`);
      }
      return example;
    });
  });
  if (result.length === 0) throw new TuningError(`${name}: no examples`);
  return result;
}
