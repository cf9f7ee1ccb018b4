import type { GenerationConfig } from '../../engine/generation-config.js';
import type { Manifest } from '../../model/compile/compiled-model.js';
import { encodePrompt, type PromptEncoder } from '../../tokenizer/token-encoder.js';
import { type DataSubject, TuningError } from '../errors.js';
import type { TextOrIds, TokenExample, TrainingExample } from './example.js';
import { shortened, type TooLong, type TooLongCounts, tooLongOf } from './too-long.js';
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
  /** `fail` unless given. */
  readonly tooLong?: TooLong | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Examples that fit the model's context, and how many there were. */
export interface FittingExamples {
  readonly examples: readonly TokenExample[];
  readonly counts: TooLongCounts;
}

/** An example that does not fit as it is: what is wrong with it, and the example with a shorter source, if it was cut. */
interface LongExample {
  readonly problem: string;
  readonly where: string;
  readonly cut?: TokenExample;
}

/**
 * One example of ids for each target; the end token is appended to it. Source and target are encoded apart, as a served
 * prompt is; nothing is put before a target that goes on from its source. In an encoder-decoder, and where prompts get them, a text that is a source gets the tokenizer's special tokens; in the former a target begins with the token that
 * the checkpoint forces to be generated first, if any. Throws `TuningError` naming the example that is empty, has an unknown id or, unless
 * `tooLong` says otherwise, does not fit the context, and the signal's reason.
 */
export async function tokenExamples(
  examples: readonly TrainingExample[],
  options: TokenOptions,
): Promise<FittingExamples> {
  const { manifest, subject, signal, tooLong = 'fail' } = options;
  const [end] = manifest.eosTokenIds;
  if (end === undefined) throw new TuningError('model', 'it has no end token to learn');
  const encode = (example: TrainingExample, index: number): (TokenExample | LongExample)[] => {
    const where = example.where ?? `example ${index + 1}`;
    return new ExampleEncoder(options, end, where).encode(example);
  };
  const all = (await yieldBetween(examples, encode, signal)).flat();
  const long = all.filter(isLong);
  if (tooLong === 'fail') refuseLong(long, all.length, subject);
  const fitting = all.flatMap((example) => (isLong(example) ? (example.cut ?? []) : example));
  if (fitting.length === 0) {
    throw new TuningError(
      subject,
      all.length === 0 ? 'no examples' : `no example is left: all ${all.length} are too long`,
    );
  }
  const cut = long.filter((example) => example.cut !== undefined).length;
  return { examples: fitting, counts: { examples: all.length, skipped: long.length - cut, cut } };
}

function isLong(example: TokenExample | LongExample): example is LongExample {
  return 'problem' in example;
}

function refuseLong(long: readonly LongExample[], examples: number, subject: DataSubject): void {
  const [first] = long;
  if (first === undefined) return;
  const { problem, where } = first;
  const text = 'may be skip, which leaves such examples out, or cut, which shortens their sources';
  const remedy = subject === 'data' ? undefined : ({ subject: 'tooLong', text } as const);
  throw new TuningError(subject, `${problem}; ${tooLongOf(long.length, examples)}`, { where, remedy });
}

/** Ids, or of a text that has more than were asked for, and was not encoded, the fewest that it can have. */
interface Side {
  readonly ids?: readonly number[];
  readonly tokens: number;
}

/** Encodes one example. */
class ExampleEncoder {
  constructor(
    private readonly options: TokenOptions,
    private readonly end: number,
    private readonly where: string,
  ) {}

  encode(example: TrainingExample): (TokenExample | LongExample)[] {
    const { source, targets } = example;
    const { generation } = this.options;
    return generation === undefined ? this.#joined(example) : this.#apart(source, targets, generation);
  }

  /** Of a decoder-only model, which reads source and target as one text behind the virtual tokens. */
  #joined({ source, targets, isRendered = false }: TrainingExample): (TokenExample | LongExample)[] {
    const { length, manifest, encoder, tooLong } = this.options;
    const room = manifest.shape.contextLength - length; // the end token is not read
    const cuts = tooLong === 'cut';
    const part = (text: string): string => (cuts ? shortened(text, room, 'beginning', encoder) : text);
    const isPrompt = typeof source === 'string' && !isRendered;
    const special = isPrompt && encoder.specialTokensInPrompts === true ? encoder.encodeSource('') : [];
    const encode = (text: string): number[] =>
      isPrompt ? encodePrompt(encoder, part(text)) : encoder.encode(part(text));
    const prompt = this.#notEmpty(this.#side(source, encode, cuts ? Infinity : room));
    return targets.map((text) => {
      const target = this.#side(
        text,
        (whole) => encoder.encodeContinuation?.(whole) ?? encoder.encode(whole),
        room - (cuts ? 1 : prompt.tokens),
      );
      const needed = prompt.tokens + target.tokens;
      const isWhole = prompt.ids !== undefined && target.ids !== undefined;
      const learned = target.ids && [...target.ids, this.end];
      if (isWhole && needed <= room) return { source: prompt.ids, target: learned ?? [] };
      const problem = `${isWhole ? '' : 'at least '}${needed + length} tokens with the ${length} virtual ones; the context has ${room + length}`;
      const left = room - target.tokens;
      if (!cuts || left <= special.length || prompt.ids === undefined || learned === undefined)
        return this.#long(problem);
      const kept = [...special, ...prompt.ids.slice(special.length - left)];
      return this.#long(problem, { source: kept, target: learned });
    });
  }

  /** Of an encoder-decoder, which reads source and target apart. */
  #apart(
    source: TextOrIds,
    targets: readonly TextOrIds[],
    { decoderStart: start, forcedBosTokenId: first }: NonNullable<TokenOptions['generation']>,
  ): (TokenExample | LongExample)[] {
    const { manifest, encoder, tooLong } = this.options;
    const { sourceLength = 0, contextLength } = manifest.shape;
    const cuts = tooLong === 'cut';
    const part = (text: string): string => (cuts ? shortened(text, sourceLength, 'end', encoder) : text);
    const prompt = this.#notEmpty(
      this.#side(source, (text) => encoder.encodeSource(part(text)), cuts ? Infinity : sourceLength),
    );
    const forced = first === null ? [] : [first];
    const around = start.length + forced.length; // the end token is not read
    return targets.map((text) => {
      const target = this.#side(text, (whole) => encoder.encode(whole), contextLength - around);
      const learned = target.ids && [...forced, ...target.ids, this.end];
      if (learned === undefined || around + target.tokens > contextLength) {
        const needed = `${target.ids ? '' : 'at least '}${around + target.tokens} tokens in the completion`;
        return this.#long(`${needed} with those that it starts with; a target may have ${contextLength}`);
      }
      if (prompt.ids !== undefined && prompt.tokens <= sourceLength) {
        return { source: prompt.ids, start, target: learned };
      }
      const problem = `${prompt.ids ? '' : 'at least '}${prompt.tokens} tokens in the prompt; a source may have ${sourceLength}`;
      if (!cuts || prompt.ids === undefined) return this.#long(problem);
      return this.#long(problem, { source: this.#cutSource(source, prompt.ids, sourceLength), start, target: learned });
    });
  }

  /** The beginning of a source, with the special tokens that stand behind it, as Transformers truncates. */
  #cutSource(source: TextOrIds, ids: readonly number[], room: number): readonly number[] {
    const behind = typeof source === 'string' ? this.#specialBehind(ids) : ids.at(-1) === this.end ? 1 : 0;
    return [...ids.slice(0, room - behind), ...ids.slice(ids.length - behind)];
  }

  /** Special tokens that the tokenizer puts behind a text: those of no text at all that the ids end with. */
  #specialBehind(ids: readonly number[]): number {
    const special = this.options.encoder.encodeSource('');
    let behind = 0;
    while (behind < special.length && special.at(-1 - behind) === ids.at(-1 - behind)) behind++;
    return behind;
  }

  /** @param most tokens of a text from which on it is not encoded */
  #side(text: TextOrIds, encode: (text: string) => number[], most: number): Side {
    const { encoder, manifest } = this.options;
    const { vocabularySize } = manifest.shape;
    if (typeof text === 'string' && encoder.textProblem !== undefined) {
      throw this.#refuse(`a text, but ${encoder.textProblem}; write lists of token ids`);
    }
    const least = typeof text === 'string' && most !== Infinity ? encoder.minTokens(text) : 0;
    if (typeof text === 'string' && least > most) return { tokens: least };
    const ids = typeof text === 'string' ? encode(text) : text;
    const unknown = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
    if (unknown !== undefined) throw this.#refuse(`token id ${unknown} is not in the vocabulary of ${vocabularySize}`);
    return { ids, tokens: ids.length };
  }

  #notEmpty(side: Side): Side {
    if (side.tokens === 0) throw this.#refuse('the prompt has no token');
    return side;
  }

  #long(problem: string, cut?: TokenExample): LongExample {
    return { problem, where: this.where, ...(cut && { cut }) };
  }

  #refuse(problem: string): TuningError {
    return new TuningError(this.options.subject, problem, { where: this.where });
  }
}
