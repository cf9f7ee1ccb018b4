import { EngineError } from './errors.js';
import type { BeamRequest, GenerationRequest } from './request.js';
import type { ModelRunner } from './runner.js';

/**
 * Refuses what the model cannot compute.
 * @throws EngineError `invalid_prompt` or `context_length_exceeded`
 */
export function checkRequest(
  { prompt, prefix, maxTokens }: Pick<GenerationRequest, 'prompt' | 'prefix' | 'maxTokens'>,
  { vocabularySize, contextLength }: Pick<ModelRunner, 'vocabularySize' | 'contextLength'>,
): void {
  if (prompt.length === 0) throw new EngineError('invalid_prompt', 'A prompt needs at least one token.');
  const invalid = prompt.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
  if (invalid !== undefined) {
    throw new EngineError('invalid_prompt', `Token id ${invalid} is not 0 to ${vocabularySize - 1}.`);
  }
  const virtual = prefix?.kv.length ?? 0;
  if (virtual + prompt.length + maxTokens <= contextLength) return;
  const asked = `${virtual} virtual, ${prompt.length} prompt and ${maxTokens} new tokens`;
  throw new EngineError('context_length_exceeded', `The context is ${contextLength} tokens, but asked are ${asked}.`);
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
