import { ApiError } from '../errors.js';
import type { CompletionRequest } from './schema.js';
import { readBeams, type BeamParams } from './beam-params.js';

/** A completion request with every default filled in; its limits are checked. */
export interface CompletionParams {
  readonly model: string;
  readonly prompt: CompletionRequest['prompt'];
  readonly n: number;
  /** Choices to generate for each prompt, or the width of its beam search; at least `n`. */
  readonly bestOf: number;
  /** Set when beams are searched instead of tokens sampled. */
  readonly beams: BeamParams | undefined;
  /** Whether the text begins with the prompt. */
  readonly echo: boolean;
  readonly maxTokens: number;
  readonly minTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly repetitionPenalty: number;
  /** Token ids as they came, to what is added to their logits. */
  readonly logitBias: Readonly<Record<string, number>>;
  readonly seed: number | undefined;
  readonly stop: readonly string[];
  readonly stopTokenIds: readonly number[];
  readonly ignoreEos: boolean;
  readonly logprobs: number | undefined;
  readonly returnTokenIds: boolean;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

/** Below it a request is greedy, as with vLLM. */
const MIN_TEMPERATURE = 1e-5;

/** Reads a body that the schema has accepted. Null is "not given"; zero and false are values. */
export function readParams(body: CompletionRequest): CompletionParams {
  refuseUnsupported(body);
  const beams = readBeams(body);
  refuseContradictions(body);
  return {
    model: body.model,
    prompt: body.prompt,
    n: body.n ?? 1,
    bestOf: body.best_of ?? body.n ?? 1,
    beams,
    echo: body.echo ?? false,
    maxTokens: body.max_tokens ?? 16,
    minTokens: body.min_tokens ?? 0,
    temperature: readTemperature(body.temperature ?? 1),
    topP: body.top_p ?? 1,
    topK: Math.max(0, body.top_k ?? 0),
    minP: body.min_p ?? 0,
    presencePenalty: body.presence_penalty ?? 0,
    frequencyPenalty: body.frequency_penalty ?? 0,
    repetitionPenalty: body.repetition_penalty ?? 1,
    logitBias: body.logit_bias ?? {},
    seed: body.seed ?? undefined,
    stop: [body.stop ?? []].flat(),
    stopTokenIds: body.stop_token_ids ?? [],
    ignoreEos: body.ignore_eos ?? false,
    logprobs: body.logprobs ?? undefined,
    returnTokenIds: body.return_token_ids ?? false,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
  };
}

/** One that is too small for the logits of a step, of single precision, is greedy. */
function readTemperature(temperature: number): number {
  return temperature < MIN_TEMPERATURE ? 0 : temperature;
}

function refuseUnsupported({ suffix, stream_options: options }: CompletionRequest): void {
  const refuse = (param: string): never => {
    throw new ApiError('unsupported_parameter', `'${param}' is not supported; leave it out.`, { param });
  };
  if ((suffix ?? undefined) !== undefined) refuse('suffix');
  if (options?.include_obfuscation) refuse('stream_options.include_obfuscation');
}

function refuseContradictions(body: CompletionRequest): void {
  const maxTokens = body.max_tokens ?? 16;
  if ((body.min_tokens ?? 0) > maxTokens) {
    throw new ApiError('invalid_value', `'min_tokens' must be at most 'max_tokens', which is ${maxTokens}.`, {
      param: 'min_tokens',
    });
  }
  refuseBestOf(body);
  if (body.stream_options && !body.stream) {
    throw new ApiError('invalid_value', `'stream_options' needs 'stream' to be true.`, { param: 'stream_options' });
  }
}

/** Which choices are best is known when all are whole, so there is nothing to stream. */
function refuseBestOf({ n, best_of: bestOf, stream }: CompletionRequest): void {
  const choices = n ?? 1;
  const refuse = (message: string): ApiError => new ApiError('invalid_value', message, { param: 'best_of' });
  if ((bestOf ?? choices) < choices) throw refuse(`'best_of' must be at least 'n', which is ${choices}.`);
  if (stream && (bestOf ?? choices) > choices) throw refuse(`'best_of' above 'n' cannot be streamed.`);
}
