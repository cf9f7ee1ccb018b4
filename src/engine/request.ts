import type { PrefixKv } from '../prefix/kv.js';
import type { TenantShare } from './policy/fair-share.js';
import type { FinishReason } from './finish-reason.js';
import type { SequenceObserver } from './observer.js';
import type { Priority } from './priority.js';

/** Changes of a row of logits before a token is chosen from it. Reported log-probabilities are those before. */
export interface LogitAdjustments {
  /** Added to a token's logit. */
  readonly bias: ReadonlyMap<number, number>;
  /** Above 0. Divides positive logits of tokens in the prompt (not the source) or generated, and multiplies their negative ones; 1 is off. */
  readonly repetitionPenalty: number;
  /** Subtracted once for each time that a token was generated. */
  readonly frequencyPenalty: number;
  /** Subtracted from a token that was generated at all. */
  readonly presencePenalty: number;
}

/** How the next token is chosen. Zero is a value: temperature 0 is greedy, `topK` 0 is off. */
export interface SamplingParams {
  /** 0 (greedy, ties to the lower id) to 2. */
  readonly temperature: number;
  /** 0 to 1; 1 is off, 0 keeps only the best token. */
  readonly topP: number;
  /** Keep this many of the best tokens; 0 is off. */
  readonly topK: number;
  /** Keep tokens with at least this part of the best one's probability, 0 to 1; 0, as when left out, is off. */
  readonly minP?: number;
  /** Changes of the logits before all others; left out, and never neutral, where there are none. */
  readonly adjustments?: LogitAdjustments | undefined;
  /** With a seed, token t of choice i is drawn from the stream (seed, i, t), whatever else is in the batch. */
  readonly seed: number | undefined;
}

/** Virtual tokens that a request puts before its prompt or before the last token of it. */
export interface RequestPrefix {
  readonly kv: PrefixKv;
  /** `prefix`: before the prompt. `infix`: before the prompt's last token. */
  readonly placement: 'prefix' | 'infix';
  /** Names keys, values and placement: what a prompt is computed behind under one version is never used under another. */
  readonly version?: string | undefined;
  /** Opaque ids in metrics, which do not tell whose they are: of a composition, those of its prefixes. */
  readonly ids?: readonly string[] | undefined;
}

/** One sequence to generate. The caller has checked every limit; `Engine.submit` checks the budget again. */
export interface GenerationRequest {
  readonly tenant: string;
  /** When it was created, where that is known: one of the same name that comes after it shares nothing of the prompt cache with it. */
  readonly tenantCreated?: number | null | undefined;
  /** Weight 1 and the whole queue unless given. */
  readonly share?: TenantShare | undefined;
  /** `interactive` unless given. */
  readonly priority?: Priority | undefined;
  /** The input of an encoder-decoder's encoder, at least one token; undefined or left out in a decoder-only model. */
  readonly source?: readonly number[] | undefined;
  /** At least one token; of a decoder, those that it starts with. */
  readonly prompt: readonly number[];
  readonly prefix?: RequestPrefix | undefined;
  readonly sampling: SamplingParams;
  /** Which choice of its API request this is (`n`): part of the random stream. */
  readonly choice: number;
  /**
   * The same symbol in requests of one submission that differ in nothing but `choice`: one of them computes prefix and prompt, the
   * others copy its keys and values. A new symbol for each submission, so that nothing is ever shared between two. Undefined, or
   * left out: nothing is shared.
   */
  readonly promptGroup?: symbol | undefined;
  /** May be 0: then nothing is generated, and the sequence finishes with `length`, once its prompt is scored if that is asked for. */
  readonly maxTokens: number;
  readonly minTokens: number;
  /** Generation ends before the first of these strings; it is not part of the text unless `includesStop`. */
  readonly stop: readonly string[];
  /** The text ends with the stop string, or the text of the token, that ended it; false unless given. */
  readonly includesStop?: boolean | undefined;
  /** Whether special tokens have no text; undefined or left out: what the tokenizer does by itself. */
  readonly skipsSpecialTokens?: boolean | undefined;
  /** Runs of tokens that are not generated whole: the last of one may not follow the others. None unless given. */
  readonly badWords?: readonly (readonly number[])[] | undefined;
  /** Tokens that end generation, beside the model's end token. */
  readonly stopTokenIds: readonly number[];
  /** Go on after the model's end token. */
  readonly ignoreEos: boolean;
  /** The first generated token, whatever the model says; undefined or left out: the model chooses. */
  readonly forcedFirstToken?: number | undefined;
  /** The token generated where `maxTokens` ends a sequence; undefined or left out: the model chooses. */
  readonly forcedLastToken?: number | undefined;
  /** Tokens that would repeat a run of so many, prompt included, are not generated; 0, undefined or left out: all may be. */
  readonly noRepeatNgramSize?: number | undefined;
  /** Report this many best log-probabilities for each token; undefined: none at all; 0: the chosen token's only. */
  readonly logprobs: number | undefined;
  /** The same for the prompt's tokens, from the second on; undefined, or left out: the prompt is not scored. */
  readonly promptLogprobs?: number | undefined;
  /** Report the rank of each of the prompt's tokens too, which reads the whole vocabulary; false unless given. */
  readonly promptRanks?: boolean | undefined;
  /** Called when the sequence, or the first of a beam search, begins to wait; what it returns is told of that one alone. */
  readonly observe?: (() => SequenceObserver) | undefined;
}

/** What one row of a blend reads before the tokens, and how much it counts. */
export interface BlendEntry {
  /** Undefined: the base model alone. */
  readonly prefix: RequestPrefix | undefined;
  /** Factor of its log-probabilities: finite, below 0 too. */
  readonly weight: number;
  /** As in `GenerationRequest`; another one for each entry of a request. */
  readonly promptGroup?: symbol | undefined;
}

/**
 * One sequence to generate from several prefixes at once. The entries read the same tokens, each behind its own prefix, and the next token is
 * chosen, as for one sequence, from the weighted sum of their log-probabilities in place of logits. It takes a slot for each entry.
 */
export interface BlendRequest extends Omit<GenerationRequest, 'prefix' | 'promptGroup'> {
  /** One to the engine's slots. */
  readonly entries: readonly BlendEntry[];
}

/** As in Transformers' `generate`. */
export type EarlyStopping = boolean | 'never';

/** A beam search: what it honours of a request for one sequence, and what is its own. There is nothing random in it. */
export interface BeamRequest extends Omit<GenerationRequest, 'sampling' | 'choice' | 'minTokens' | 'stop'> {
  /** Beams, which are the hypotheses returned too; 1 to the engine's slots. */
  readonly width: number;
  /** A hypothesis' score is its log-probability divided by its number of tokens to this power: above 0 the longer gain. */
  readonly lengthPenalty: number;
  /**
   * When a search ends: true: as soon as it has `width` hypotheses; false: once the best beam at its present length is no better than the worst
   * of them; `never`: once no beam can become better, however long. false unless given.
   */
  readonly earlyStopping?: EarlyStopping | undefined;
  /** Generated tokens before an end token may end a hypothesis; 0 unless given. */
  readonly minTokens?: number | undefined;
  /** At least 1. */
  readonly maxTokens: number;
}

/** A token with its natural log-probability under the model (before temperature and truncation). */
export interface TokenLogprob {
  readonly id: number;
  readonly logprob: number;
}

/** Tokens in an order, to be read one after another. */
export interface TokenList extends Iterable<TokenLogprob> {
  readonly length: number;
}

/** A token with its log-probability and the best of its place, best first. */
export interface ScoredToken extends TokenLogprob {
  readonly top: TokenList;
  /** 1 for the best token of the place, 2 for the next; set where `promptRanks` asks for it. */
  readonly rank?: number;
}

/** Log-probabilities of the next prompt tokens; the first token of a prompt has none, so they begin with the second. */
interface PromptEvent {
  readonly type: 'prompt';
  readonly tokens: readonly ScoredToken[];
}

/** One generated token. */
export interface TokenEvent {
  readonly type: 'token';
  readonly id: number;
  /** Text that became certain with this token: whole characters only, held back while it may begin a stop string. */
  readonly text: string;
  /** Set when the request asks for log-probabilities. */
  readonly logprob?: number;
  /** The best tokens, best first, as many as `logprobs` asks for. */
  readonly top?: TokenList;
}

/** The one terminal event of a sequence that was admitted. `text` is what was held back and is now certain. */
interface FinishEvent {
  readonly type: 'finish';
  readonly reason: FinishReason;
  readonly text: string;
  /** A hypothesis' score; set in beam search alone. */
  readonly score?: number;
  /** Prompt tokens whose keys and values came from the prompt cache; left out where there are none. */
  readonly cachedTokens?: number;
}

/**
 * An event of a sequence: the scored prompt in parts if `promptLogprobs` asks for it, tokens, then exactly one finish. A failure of
 * the engine throws `EngineError` instead.
 */
export type GenerationEvent = PromptEvent | TokenEvent | FinishEvent;

/** A submitted sequence: iterate it once. Leaving the loop early, or `cancel`, frees its slot by the next step. */
export interface Generation extends AsyncIterable<GenerationEvent> {
  cancel(): void;
}

/** Most tokens that so many sequences of a request can come to: its source and prompt once, and all that they may generate. */
export function tokenBudgetOf(
  { source, prompt, maxTokens }: Pick<GenerationRequest, 'source' | 'prompt' | 'maxTokens'>,
  sequences: number,
): number {
  return (source?.length ?? 0) + prompt.length + sequences * maxTokens;
}

/** Most tokens that the sequences of all entries of a blend can come to. */
export function blendBudgetOf(request: Pick<BlendRequest, 'entries' | 'source' | 'prompt' | 'maxTokens'>): number {
  return request.entries.length * tokenBudgetOf(request, 1);
}

/** Whether log-probabilities of the prompt are asked for, and it has any. */
export function isPromptScored({
  promptLogprobs,
  prompt,
}: Pick<GenerationRequest, 'promptLogprobs' | 'prompt'>): boolean {
  return promptLogprobs !== undefined && prompt.length > 1;
}

/** Whether nothing has to be computed: the sequence ends as it is submitted, and never waits. */
export function isInstant(request: Pick<GenerationRequest, 'maxTokens' | 'promptLogprobs' | 'prompt'>): boolean {
  return request.maxTokens === 0 && !isPromptScored(request);
}
