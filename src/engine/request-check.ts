import { EngineError } from './errors.js';
import type { BeamRequest, BlendRequest, GenerationRequest } from './request.js';
import type { ModelRunner } from './runner.js';
import { sourceLength } from './source-length.js';

type CheckedRequest = Pick<
  GenerationRequest,
  'source' | 'prompt' | 'prefix' | 'maxTokens' | 'forcedFirstToken' | 'forcedLastToken'
>;

type CheckingRunner = Pick<ModelRunner, 'vocabularySize' | 'contextLength' | 'sources'>;

/**
 * Refuses what the model cannot compute.
 * @throws EngineError `invalid_prompt` or `context_length_exceeded`
 */
export function checkRequest(request: CheckedRequest, runner: CheckingRunner): void {
  const { prompt, prefix, maxTokens, forcedFirstToken, forcedLastToken } = request;
  const { vocabularySize, contextLength } = runner;
  checkSource(request, runner);
  if (prompt.length === 0) throw new EngineError('invalid_prompt', 'A prompt needs at least one token.');
  checkTokens(prompt, vocabularySize);
  checkTokens([forcedFirstToken ?? 0, forcedLastToken ?? 0], vocabularySize);
  const virtual = prefix?.kv.shift ?? 0;
  if (virtual + prompt.length + maxTokens <= contextLength) return;
  const asked = `${virtual} virtual, ${prompt.length} prompt and ${maxTokens} new tokens`;
  throw new EngineError(
    'context_length_exceeded',
    `This model's maximum context length is ${contextLength} tokens, but asked are ${asked}.`,
  );
}

function checkSource({ source, prefix }: CheckedRequest, { vocabularySize, sources }: CheckingRunner): void {
  if (sources === undefined) {
    if (source === undefined) return;
    throw new EngineError('invalid_prompt', 'The model has no encoder, and takes no source.');
  }
  if (source === undefined) throw new EngineError('invalid_prompt', 'The model has an encoder, and needs a source.');
  if (source.length === 0) throw new EngineError('invalid_prompt', 'A source needs at least one token.');
  checkTokens(source, vocabularySize);
  const length = sourceLength(source, prefix?.kv, sources);
  if (length <= sources.maxTokens) return;
  const asked = `${length - source.length} virtual and ${source.length} tokens`;
  const message = `This model's maximum context length is ${sources.maxTokens} tokens for its encoder, but asked are ${asked}.`;
  throw new EngineError('context_length_exceeded', message);
}

function checkTokens(tokens: readonly number[], vocabularySize: number): void {
  const invalid = tokens.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
  if (invalid === undefined) return;
  throw new EngineError('invalid_prompt', `Token id ${invalid} is not 0 to ${vocabularySize - 1}.`);
}

/**
 * Refuses a blend that could never have its slots, or has no sum.
 * @throws EngineError `invalid_blend`
 */
export function checkBlend({ entries }: BlendRequest, { slots }: Pick<ModelRunner, 'slots'>): void {
  if (entries.length < 1 || entries.length > slots) {
    const message = `A blend of ${entries.length} entries needs as many slots: 1 to ${slots} are possible.`;
    throw new EngineError('invalid_blend', message);
  }
  if (!entries.every(({ weight }) => Number.isFinite(weight))) {
    throw new EngineError('invalid_blend', 'The weights of a blend must be finite.');
  }
}

/**
 * Refuses a beam search that could never have its slots, or whose first step has fewer tokens to go on with than it has beams.
 * @throws EngineError `invalid_beams`
 */
export function checkBeams(
  { width, maxTokens }: BeamRequest,
  endTokens: ReadonlySet<number>,
  { slots, vocabularySize }: Pick<ModelRunner, 'slots' | 'vocabularySize'>,
): void {
  if (maxTokens < 1) throw new EngineError('invalid_beams', 'A beam search generates at least one token.');
  const limit = Math.min(slots, vocabularySize - endTokens.size);
  if (width >= 1 && width <= limit) return;
  throw new EngineError('invalid_beams', `A beam search of width ${width} is not possible: 1 to ${limit} beams are.`);
}
