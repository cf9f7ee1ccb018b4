import { ApiError } from '../errors.js';
import type { CompletionRequest } from '../schemas/completion.js';

/** Text to token ids, special tokens parsed and none added. */
export interface Encoder {
  encode(text: string): number[];
  /** The fewest tokens that `encode` can give for the text. Quick, however long that is. */
  minTokens(text: string): number;
}

/** What a prompt is held against. */
export interface PromptLimits {
  readonly vocabularySize: number;
  readonly contextLength: number;
}

/**
 * The token ids of each prompt of a request, in order, whichever of the four forms it came in. A text that cannot fit the context is
 * refused before it is tokenized: nobody else is served meanwhile.
 */
export function readPrompts(
  prompt: CompletionRequest['prompt'],
  encoder: Encoder,
  { vocabularySize, contextLength }: PromptLimits,
): number[][] {
  return split(prompt).map((one) => {
    if (typeof one === 'string') refuseTooLong(encoder.minTokens(one), contextLength, 'at least ');
    const tokens = typeof one === 'string' ? encoder.encode(one) : one;
    refuseTooLong(tokens.length, contextLength);
    if (tokens.length === 0) throw refuse('A prompt must have at least one token.');
    const unknown = tokens.find((id) => id >= vocabularySize);
    if (unknown !== undefined) {
      throw refuse(`Token ${unknown} is not in the vocabulary: ids are 0 to ${vocabularySize - 1}.`);
    }
    return tokens;
  });
}

/** An array of numbers is one prompt; every other array is one prompt an entry. */
function split(prompt: CompletionRequest['prompt']): (string | number[])[] {
  if (typeof prompt === 'string') return [prompt];
  return typeof prompt[0] === 'number' ? [prompt as number[]] : (prompt as (string | number[])[]);
}

function refuseTooLong(tokens: number, contextLength: number, atLeast = ''): void {
  if (tokens <= contextLength) return;
  const message = `The model's context is ${contextLength} tokens, but the prompt has ${atLeast}${tokens}.`;
  throw new ApiError('context_length_exceeded', message, { param: 'prompt' });
}

function refuse(message: string): ApiError {
  return new ApiError('invalid_value', message, { param: 'prompt' });
}
