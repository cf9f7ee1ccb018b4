import type { GenerationConfig } from '../../engine/generation-config.js';
import type { Manifest } from '../../model/compile/compiled-model.js';
import type { PromptEncoder } from '../../tokenizer/token-encoder.js';
import { inputLength } from '../training/batch.js';
import { type DataSubject, TuningError } from '../errors.js';
import type { TextOrIds, TokenExample, TrainingExample } from './example.js';
import { yieldBetween } from '../../lib/yield-between.js';

export interface TokenOptions {
  readonly encoder: PromptEncoder;
  /** The frozen model's. */
  readonly manifest: Pick<Manifest, 'eosTokenIds' | 'shape'>;
  /** Of an encoder-decoder; undefined or left out for a decoder-only model. */
  readonly generation?: Pick<GenerationConfig, 'decoderStart' | 'forcedBosTokenId'> | undefined;
  /** Virtual tokens, which take positions of a decoder-only model's context. */
  readonly length: number;
  /** Purpose of the examples, for errors. */
  readonly subject: DataSubject;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One example of ids for each target; the end token is appended to it. Source and target are encoded apart, as a served
 * prompt is. In an encoder-decoder a text that is a source gets the tokenizer's special tokens, and a target begins with the token that
 * the checkpoint forces to be generated first, if any. Throws `TuningError` naming the example that is empty, has an unknown id or does not
 * fit the context, and the signal's reason.
 */
export async function tokenExamples(
  examples: readonly TrainingExample[],
  options: TokenOptions,
): Promise<TokenExample[]> {
  const { manifest, subject, signal } = options;
  const [end] = manifest.eosTokenIds;
  if (end === undefined) throw new TuningError('model', 'it has no end token to learn');
  const encode = (example: TrainingExample, index: number): TokenExample[] => {
    const where = example.where ?? `example ${index + 1}`;
    return new ExampleEncoder(options, end, where).encode(example);
  };
  const result = (await yieldBetween(examples, encode, signal)).flat();
  if (result.length === 0) throw new TuningError(subject, 'no examples');
  return result;
}

/** Encodes one example. */
class ExampleEncoder {
  constructor(
    private readonly options: TokenOptions,
    private readonly end: number,
    private readonly where: string,
  ) {}

  encode({ source, targets }: TrainingExample): TokenExample[] {
    const { generation } = this.options;
    if (generation === undefined) return this.#joined(source, targets);
    const { decoderStart: start, forcedBosTokenId: first } = generation;
    const ids = this.#source(source);
    return targets.map((target) => ({ source: ids, start, target: this.#target(target, start, first) }));
  }

  /** Of a decoder-only model, which reads source and target as one text behind the virtual tokens. */
  #joined(source: TextOrIds, targets: readonly TextOrIds[]): TokenExample[] {
    const { length, manifest, encoder } = this.options;
    const { contextLength } = manifest.shape;
    const check = (tokens: number, atLeast = ''): void => {
      const needed = tokens + length;
      if (needed <= contextLength) return;
      throw this.#refuse(
        `${atLeast}${needed} tokens with the ${length} virtual ones; the context has ${contextLength}`,
      );
    };
    const encode = (text: string): number[] => encoder.encode(text);
    const prompt = this.#notEmpty(this.#ids(source, encode, (tokens) => check(tokens, 'at least ')));
    return targets.map((target) => {
      const ids = this.#ids(target, encode, (tokens) => check(prompt.length + tokens, 'at least '));
      const example = { source: prompt, target: [...ids, this.end] };
      check(inputLength(example));
      return example;
    });
  }

  #source(source: TextOrIds): readonly number[] {
    const { encoder, manifest } = this.options;
    const { sourceLength = 0 } = manifest.shape;
    const check = (tokens: number, atLeast = ''): void => {
      if (tokens <= sourceLength) return;
      throw this.#refuse(`${atLeast}${tokens} tokens in the prompt; a source may have ${sourceLength}`);
    };
    const encode = (text: string): number[] => encoder.encodeSource(text);
    const ids = this.#notEmpty(this.#ids(source, encode, (tokens) => check(tokens, 'at least ')));
    check(ids.length);
    return ids;
  }

  #target(text: TextOrIds, start: readonly number[], first: number | null): number[] {
    const { encoder, manifest } = this.options;
    const { contextLength } = manifest.shape;
    const forced = first === null ? [] : [first];
    const around = start.length + forced.length; // the end token is not read
    const check = (tokens: number, atLeast = ''): void => {
      if (around + tokens <= contextLength) return;
      const needed = `${atLeast}${around + tokens} tokens in the completion with those that it starts with`;
      throw this.#refuse(`${needed}; a target may have ${contextLength}`);
    };
    const encode = (target: string): number[] => encoder.encode(target);
    const ids = this.#ids(text, encode, (tokens) => check(tokens, 'at least '));
    check(ids.length);
    return [...forced, ...ids, this.end];
  }

  /** @param checkLeast refuses a text that cannot fit, before it is encoded */
  #ids(text: TextOrIds, encode: (text: string) => number[], checkLeast: (tokens: number) => void): readonly number[] {
    const { encoder, manifest } = this.options;
    const { vocabularySize } = manifest.shape;
    if (typeof text === 'string') checkLeast(encoder.minTokens(text));
    const ids = typeof text === 'string' ? encode(text) : text;
    const unknown = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
    if (unknown !== undefined) throw this.#refuse(`token id ${unknown} is not in the vocabulary of ${vocabularySize}`);
    return ids;
  }

  #notEmpty(ids: readonly number[]): readonly number[] {
    if (ids.length === 0) throw this.#refuse('the prompt has no token');
    return ids;
  }

  #refuse(problem: string): TuningError {
    return new TuningError(this.options.subject, problem, { where: this.where });
  }
}
