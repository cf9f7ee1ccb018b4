import type { KvCopy, ModelRunner, Span, StepInput, StepOutput } from '../../src/engine/runner.js';
import { DECODER, type PrefixKv, SELF, selfKv } from '../../src/prefix/kv.js';
import { FakeSources, hashRows, KV_WIDTH } from './fake-sources.js';
import { mix } from './mix.js';
import type { SiteLengths } from './source-contract.js';

export interface FakeRunnerOptions {
  readonly slots?: number;
  readonly contextLength?: number;
  readonly vocabularySize?: number;
  /** Most tokens of a source; left out: the model has no encoder. */
  readonly sourceLength?: number;
}

/** A step that a fake has computed, and its rows as the engine plans them. */
export interface RecordedStep extends StepInput {
  /** Rows of one token each. */
  readonly decode: readonly Span[];
  /** The last row, where it is a part of a prompt. */
  readonly chunk: Span | undefined;
}

/** One token of the sequence in a slot, whose logits are wanted. */
export function rowOf(token: number, past: number, slot = 0): Span {
  return { slot, tokens: [token], past, logits: 'last', temperature: 1 };
}

/** Copy of some positions of a fake's slot. */
class FakeCopy implements KvCopy {
  constructor(readonly values: Uint32Array) {}

  get length(): number {
    return this.values.length;
  }

  get bytes(): number {
    return this.values.byteLength;
  }
}

/**
 * A model that is nothing but its keys and values: what a token writes depends on the token, its position and everything before
 * it in its slot, and its logits are a hash of all that is visible. A wrong position, another slot's content, a stale rest of an
 * earlier sequence or a swapped row therefore changes the logits. Logits are multiples of 1/8, so that equal ones occur. With an encoder,
 * what a token sees of its source is hashed too, and slots have room for virtual tokens that are not counted as positions.
 */
export class FakeRunner implements ModelRunner {
  readonly slots: number;
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly maxRowTokens = 16;
  /** Every step so far. */
  readonly steps: RecordedStep[] = [];
  /** Awaited before each step; a test throws from it or waits in it. */
  beforeStep: (input: StepInput) => Promise<void> | void = () => undefined;
  readonly sources: FakeSources | undefined;
  /** `[slots][positions]` */
  readonly #kv: Uint32Array[];
  readonly #slotLength: number;
  readonly #lent: Float32Array[] = [];
  #isBusy = false;

  constructor({ slots = 4, contextLength = 96, vocabularySize = 150, sourceLength }: FakeRunnerOptions = {}) {
    this.slots = slots;
    this.contextLength = contextLength;
    this.vocabularySize = vocabularySize;
    if (sourceLength !== undefined) {
      this.sources = new FakeSources({ slots, vocabularySize, maxTokens: sourceLength }, (call) =>
        this.#exclusively(call),
      );
    }
    this.#slotLength = this.sources === undefined ? contextLength : 2 * contextLength;
    this.#kv = Array.from({ length: slots }, () => new Uint32Array(this.#slotLength).fill(0xdead));
  }

  step(input: StepInput): Promise<StepOutput> {
    return this.#exclusively(async () => {
      this.#checkStep(input);
      this.steps.push(record(input));
      for (const view of this.#lent.splice(0)) view.fill(NaN);
      await this.beforeStep(input);
      return this.#toOutput(
        input.rows.flatMap((span) => this.#computeSpan(span)),
        input.topK,
      );
    });
  }

  canVerify(rows: number, rowTokens: number): boolean {
    return rows === 1 || rowTokens <= this.maxRowTokens;
  }

  append(slot: number, offset: number, kv: PrefixKv): Promise<void> {
    return this.#exclusively(() => {
      this.#checkRange(slot, offset, kv.length);
      const rows = kv.rows.get(this.sources === undefined ? SELF : DECODER) ?? new Float32Array(0);
      if (rows.length !== kv.length * KV_WIDTH) throw new RangeError(`${rows.length} values in ${kv.length} rows`);
      this.#slot(slot).set(hashRows(rows), offset);
    });
  }

  copySlot(from: number, to: number, length: number, shared = 0): Promise<void> {
    return this.#exclusively(() => {
      this.#checkRange(from, 0, length);
      this.#checkRange(to, 0, length);
      this.#slot(to).set(this.#slot(from).subarray(shared, length), shared);
    });
  }

  readSlot(slot: number, from: number, length: number): Promise<KvCopy> {
    return this.#exclusively(() => {
      this.#checkRange(slot, from, length);
      return new FakeCopy(this.#slot(slot).slice(from, from + length));
    });
  }

  writeSlot(slot: number, from: number, copy: KvCopy): Promise<void> {
    return this.#exclusively(() => {
      this.#checkRange(slot, from, copy.length);
      if (!(copy instanceof FakeCopy)) throw new TypeError('the copy is of another runner');
      this.#slot(slot).set(copy.values, from);
    });
  }

  #computeSpan({ slot, tokens, past, position = past, source, logits, temperature }: Span): FakeRow[] {
    const seen = this.sources === undefined ? 0 : this.sources.read(source).reduce(mix, 0);
    const rows = tokens.map((token, i) => {
      return { logits: this.#compute(slot, token, past + i, mix(position + i, seen)), temperature };
    });
    return logits === 'all' ? rows : logits === 'last' ? rows.slice(-1) : [];
  }

  /** Writes one position and returns the logits behind it. @param start hash of the token's position and source */
  #compute(slot: number, token: number, past: number, start: number): Float32Array {
    const kv = this.#slot(slot);
    const visible = kv.subarray(0, past).reduce(mix, start);
    kv[past] = mix(visible, token);
    return Float32Array.from({ length: this.vocabularySize }, (_, id) => toLogit(mix(mix(visible, token), id)));
  }

  #toOutput(rows: readonly FakeRow[], topK: number): StepOutput {
    const best = rows.map(({ logits }) =>
      [...logits.keys()].sort((a, b) => valueAt(logits, b) - valueAt(logits, a) || a - b).slice(0, topK),
    );
    const output = {
      rows: rows.length,
      topIds: Int32Array.from(best.flat()),
      topLogits: Float32Array.from(best.flatMap((ids, row) => ids.map((id) => valueAt(rows[row]?.logits, id)))),
      lse: Float32Array.from(rows, ({ logits }) => logSumExp(logits, 1)),
      temperedLse: Float32Array.from(rows, ({ logits, temperature }) => logSumExp(logits, temperature)),
    };
    this.#lent.push(output.topLogits, output.lse, output.temperedLse, ...rows.map(({ logits }) => logits));
    return { ...output, logits: (row) => rows[row]?.logits ?? new Float32Array(0) };
  }

  #checkStep({ rows, topK, isVerifying = false }: StepInput): void {
    if (rows.length === 0) throw new RangeError('an empty step');
    if (!(topK >= 1 && topK <= this.vocabularySize)) throw new RangeError(`topK ${topK}`);
    rows.forEach(({ slot, tokens, past, position = past, source, temperature }, row) => {
      const isLast = row === rows.length - 1;
      if (isLast && !isVerifying ? slot < row : slot !== row) throw new RangeError(`row ${row} is in slot ${slot}`);
      if (tokens.length === 0 || (!isLast && tokens.length > this.maxRowTokens)) throw new RangeError('tokens');
      this.#checkRange(slot, past, tokens.length);
      if (position < 0 || position > past || position + tokens.length > this.contextLength) {
        throw new RangeError(`position ${position}`);
      }
      if (this.sources === undefined && source !== undefined) throw new RangeError('a source without an encoder');
      this.sources?.read(source);
      for (const token of tokens) this.#checkToken(token, temperature);
    });
  }

  #checkToken(token: number, temperature: number): void {
    if (!Number.isInteger(token) || token < 0 || token >= this.vocabularySize) throw new RangeError(`token ${token}`);
    if (!(temperature > 0)) throw new RangeError(`temperature ${temperature}`);
  }

  #checkRange(slot: number, from: number, length: number): void {
    if (!Number.isInteger(slot) || slot < 0 || slot >= this.slots) throw new RangeError(`slot ${slot}`);
    if (!Number.isInteger(from) || from < 0 || length < 0 || from + length > this.#slotLength) {
      throw new RangeError(`positions ${from} to ${from + length}`);
    }
  }

  #slot(slot: number): Uint32Array {
    const kv = this.#kv[slot];
    if (kv === undefined) throw new RangeError(`slot ${slot}`);
    return kv;
  }

  async #exclusively<T>(call: () => T | Promise<T>): Promise<T> {
    if (this.#isBusy) throw new Error('a runner takes one call at a time');
    this.#isBusy = true;
    try {
      await Promise.resolve();
      return await call();
    } finally {
      this.#isBusy = false;
    }
  }
}

interface FakeRow {
  readonly logits: Float32Array;
  readonly temperature: number;
}

function record(input: StepInput): RecordedStep {
  const { rows } = input;
  const last = rows.at(-1);
  const isChunk =
    last && !input.isVerifying && (last.tokens.length > 1 || last.slot !== rows.length - 1 || last.logits !== 'last');
  return { ...input, decode: isChunk ? rows.slice(0, -1) : rows, chunk: isChunk ? last : undefined };
}

/** Virtual tokens for a `FakeRunner` without an encoder; another seed gives others. */
export function makeFakeKv(length: number, seed: number): PrefixKv {
  return selfKv(length, makeRows(length, seed));
}

/** Virtual tokens for a `FakeRunner` with an encoder, of a number at each site; another seed gives others. */
export function makeFakeSourceKv(
  { encoder, decoder, cross, embeddings, shift = 0 }: SiteLengths,
  seed: number,
): PrefixKv {
  const lengths = Object.entries({ encoder, decoder, cross });
  const rows = lengths.flatMap(([site, length = 0], i) => {
    return length > 0 ? [[site, makeRows(length, mix(seed, i))] as const] : [];
  });
  const sourceEmbeddings = embeddings === undefined ? undefined : makeRows(embeddings, mix(seed, 9));
  return { length: decoder ?? 0, shift, rows: new Map(rows), sourceEmbeddings };
}

function makeRows(length: number, seed: number): Float32Array {
  return Float32Array.from({ length: length * KV_WIDTH }, (_, i) => toLogit(mix(seed, i)));
}

/** About normal, with a deviation of 2. */
function toLogit(hash: number): number {
  const uniforms = [0, 1, 2, 3].map((i) => mix(hash, i) / 2 ** 32);
  return Math.round((uniforms.reduce((total, u) => total + u, 0) - 2) * 3.5 * 8) / 8;
}

function logSumExp(logits: Float32Array, temperature: number): number {
  return Math.log(logits.reduce((total, logit) => total + Math.exp(logit / temperature), 0));
}

function valueAt(values: Float32Array | undefined, index: number): number {
  return values?.[index] ?? NaN;
}
