import { ApiError } from '../errors.js';
import type { CompletionRequest } from '../schemas/completion.js';

/** Text to token ids, special tokens parsed and none added. */
export interface Encoder {
  encode(text: string): number[];
}

/** The token ids of each prompt of a request, in order, whichever of the four forms it came in. */
export function readPrompts(prompt: CompletionRequest['prompt'], encoder: Encoder, vocabularySize: number): number[][] {
  return split(prompt).map((one) => {
    const tokens = typeof one === 'string' ? encoder.encode(one) : one;
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

function refuse(message: string): ApiError {
  return new ApiError('invalid_value', message, { param: 'prompt' });
}
