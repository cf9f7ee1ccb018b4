import type { GenerationConfig } from '../../engine/generation-config.js';
import type { EarlyStopping, LogitAdjustments, SamplingParams } from '../../engine/request.js';
import { CompletionError, invalidValue } from '../errors.js';
import { type BlendTerm, readBlend } from './blend.js';
import { readGeneration, type GenerationParams } from './generation-params.js';
import type { CompletionRequest } from './schema.js';
import { refuseUnknownIds } from './vocabulary.js';

/** One prompt as it came: a text, or token ids. */
export type RawPrompt = string | readonly number[];

/** How prompts become tokens. */
interface Tokenization {
  /** Whether texts get special tokens; undefined or left out: the model decides. */
  readonly addsSpecialTokens?: boolean | undefined;
  /** Tokens that are left of the end of a prompt; undefined or left out: all; -1: as many as fit. */
  readonly truncation?: number | undefined;
}

/** The parameters that are particular to a beam search; its width is `bestOf`. */
export interface BeamParams {
  readonly lengthPenalty: number;
  readonly earlyStopping: EarlyStopping;
}

/** A completion request with every default filled in. */
export interface CompletionParams extends GenerationParams {
  /** The base model's id where a blend leaves it out. */
  readonly model: string;
  /** At least two; undefined: `model` alone. */
  readonly blend: readonly BlendTerm[] | undefined;
  /** OpenAI's label: requests with the same one get the same version of a name that several share. */
  readonly user: string | undefined;
  readonly prompts: readonly RawPrompt[];
  readonly n: number;
  /** Choices to generate for each prompt, or the width of its beam search; at least `n`. */
  readonly bestOf: number;
  /** Undefined: tokens are sampled. */
  readonly beams: BeamParams | undefined;
  /** Whether the text begins with the prompt. */
  readonly echo: boolean;
  readonly sampling: SamplingParams;
  readonly stop: readonly string[];
  /** As in the engine's `GenerationRequest`, and so is the next. */
  readonly includesStop: boolean;
  readonly skipsSpecialTokens: boolean | undefined;
  /** Texts that are not generated. */
  readonly badWords: readonly string[];
  readonly stopTokenIds: readonly number[];
  readonly ignoreEos: boolean;
  readonly logprobs: number | undefined;
  /** Of the prompt's tokens, apart from those of `echo`; undefined: none at all; 0: those of the tokens themselves. */
  readonly promptLogprobs: number | undefined;
  readonly tokenization: Tokenization;
  readonly returnTokenIds: boolean;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** Whether every chunk has the usage so far. */
  readonly continuousUsage: boolean;
}

/** What a request is held against beside its schema. */
export interface ParamLimits {
  /** The base model's id. */
  readonly base: string;
  readonly vocabularySize: number;
  /** Choices that one request may have generated, over all prompts. */
  readonly maxChoices: number;
  /** Defaults of an encoder-decoder's checkpoint; undefined or left out for a decoder-only model. */
  readonly generation?: GenerationConfig | undefined;
}

/** The temperature below which a request is greedy, as with vLLM: the logits of a step have single precision. */
const MIN_TEMPERATURE = 1e-5;

/**
 * Reads a request that a `RequestCheck` has accepted. Null is "not given", but for what a checkpoint has defaults of (`readGeneration`); zero
 * and false are values.
 * @throws CompletionError for too many choices, for tokens that are not in the vocabulary, and for what the model's kind cannot do
 */
export function readParams(
  request: CompletionRequest,
  { base, vocabularySize, maxChoices, generation }: ParamLimits,
): CompletionParams {
  if (generation) refuseWithEncoder(request);
  const n = request.n ?? 1;
  const params = {
    model: request.model ?? base,
    blend: readBlend(request, base),
    user: request.user ?? undefined,
    prompts: splitPrompts(request.prompt),
    n,
    bestOf: request.best_of ?? n,
    beams: request.use_beam_search ? readBeams(request) : undefined,
    echo: request.echo ?? false,
    ...readGeneration(request, vocabularySize, generation),
    sampling: readSampling(request, vocabularySize),
    stop: [request.stop ?? []].flat(),
    includesStop: request.include_stop_str_in_output ?? false,
    skipsSpecialTokens: request.skip_special_tokens ?? undefined,
    badWords: request.bad_words ?? [],
    stopTokenIds: request.stop_token_ids ?? [],
    ignoreEos: request.ignore_eos ?? false,
    logprobs: request.logprobs ?? undefined,
    promptLogprobs: request.prompt_logprobs ?? undefined,
    tokenization: readTokenization(request),
    returnTokenIds: request.return_token_ids ?? false,
    stream: request.stream ?? false,
    includeUsage: request.stream_options?.include_usage ?? false,
    continuousUsage: request.stream_options?.continuous_usage_stats ?? false,
  };
  refuseTooManyChoices(params, maxChoices);
  for (const prompt of params.prompts)
    if (typeof prompt !== 'string') refuseUnknownIds('prompt', prompt, vocabularySize);
  refuseUnknownIds('stop_token_ids', params.stopTokenIds, vocabularySize);
  return params;
}

function readBeams(request: CompletionRequest): BeamParams {
  return { lengthPenalty: request.length_penalty ?? 1, earlyStopping: request.early_stopping ?? false };
}

/** What only a prompt has that the text goes on from. */
function refuseWithEncoder({ echo, prompt_logprobs: scores }: CompletionRequest): void {
  const refuse = (param: string): never => {
    const message = `'${param}' is not for models with an encoder, whose text does not go on from the prompt; leave it out.`;
    throw new CompletionError('unsupported_parameter', message, { param });
  };
  if (echo) refuse('echo');
  if ((scores ?? undefined) !== undefined) refuse('prompt_logprobs');
}

function readTokenization({
  add_special_tokens: adds,
  truncate_prompt_tokens: keeps,
}: CompletionRequest): Tokenization {
  if (keeps === 0)
    throw invalidValue('truncate_prompt_tokens', `'truncate_prompt_tokens' 0 leaves nothing of a prompt.`);
  return { addsSpecialTokens: adds ?? undefined, truncation: keeps ?? undefined };
}

/** An array of numbers is one prompt, every other array has one prompt an entry. */
function splitPrompts(prompt: CompletionRequest['prompt']): readonly RawPrompt[] {
  if (typeof prompt === 'string') return [prompt];
  return typeof prompt[0] === 'number' ? [prompt as number[]] : (prompt as RawPrompt[]);
}

function refuseTooManyChoices({ prompts, n, bestOf }: CompletionParams, maxChoices: number): void {
  const { length } = prompts;
  if (length * bestOf <= maxChoices) return;
  const field = bestOf > n ? 'best_of' : 'n';
  const message = `${length} prompts with '${field}' ${bestOf} are more than ${maxChoices} choices, the limit of one request.`;
  throw invalidValue(length > maxChoices ? 'prompt' : field, message);
}

function readSampling(request: CompletionRequest, vocabularySize: number): SamplingParams {
  const temperature = request.temperature ?? 1;
  const adjustments = readAdjustments(request, vocabularySize);
  return {
    temperature: temperature < MIN_TEMPERATURE ? 0 : temperature,
    topP: request.top_p ?? 1,
    topK: Math.max(0, request.top_k ?? 0),
    minP: request.min_p ?? 0,
    seed: request.seed ?? undefined,
    ...(adjustments && { adjustments }),
  };
}

/** Undefined where nothing changes the logits, which spares the engine a pass over them. */
function readAdjustments(request: CompletionRequest, vocabularySize: number): LogitAdjustments | undefined {
  const adjustments = {
    bias: readLogitBias(request.logit_bias ?? {}, vocabularySize),
    repetitionPenalty: request.repetition_penalty ?? 1,
    frequencyPenalty: request.frequency_penalty ?? 0,
    presencePenalty: request.presence_penalty ?? 0,
  };
  const { bias, repetitionPenalty, frequencyPenalty, presencePenalty } = adjustments;
  const isNeutral = bias.size === 0 && repetitionPenalty === 1 && frequencyPenalty === 0 && presencePenalty === 0;
  return isNeutral ? undefined : adjustments;
}

function readLogitBias(bias: Readonly<Record<string, number>>, vocabularySize: number): Map<number, number> {
  return new Map(Object.entries(bias).map(([key, value]) => [readTokenId(key, vocabularySize), value]));
}

/** A JSON key is text: only an id as a number is written may name a token. */
function readTokenId(key: string, vocabularySize: number): number {
  const id = Number(key);
  if (String(id) === key && Number.isInteger(id) && id >= 0 && id < vocabularySize) return id;
  throw invalidValue('logit_bias', `Keys of 'logit_bias' are token ids, 0 to ${vocabularySize - 1}.`);
}
