import { ApiError } from '../errors.js';
import type { CompletionRequest } from './schema.js';
import { refuseUnknownIds } from './token-ids.js';
import type { Turns } from './turns.js';

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

/** One prompt as it came: a text, or token ids. */
export type RawPrompt = string | number[];

/** The prompts of a request, whichever of the four forms they came in: an array of numbers is one, every other array one an entry. */
export function splitPrompts(prompt: CompletionRequest['prompt']): readonly RawPrompt[] {
  if (typeof prompt === 'string') return [prompt];
  return typeof prompt[0] === 'number' ? [prompt as number[]] : (prompt as RawPrompt[]);
}

/** The token ids of each prompt, in order. Each is read in a turn of its own: nobody else is served while a text is tokenized. */
export async function readPrompts(
  prompts: readonly RawPrompt[],
  encoder: Encoder,
  limits: PromptLimits,
  turns: Turns,
): Promise<number[][]> {
  const read: number[][] = [];
  for (const prompt of prompts) {
    await turns.next();
    read.push(readPrompt(prompt, encoder, limits));
  }
  return read;
}

/** A text that cannot fit the context is refused before it is tokenized. */
function readPrompt(prompt: RawPrompt, encoder: Encoder, { vocabularySize, contextLength }: PromptLimits): number[] {
  if (typeof prompt === 'string') refuseTooLong(encoder.minTokens(prompt), contextLength, 'at least ');
  const tokens = typeof prompt === 'string' ? encoder.encode(prompt) : prompt;
  refuseTooLong(tokens.length, contextLength);
  if (tokens.length === 0) {
    throw new ApiError('invalid_value', 'A prompt must have at least one token.', { param: 'prompt' });
  }
  refuseUnknownIds('prompt', tokens, vocabularySize);
  return tokens;
}

function refuseTooLong(tokens: number, contextLength: number, atLeast = ''): void {
  if (tokens <= contextLength) return;
  const message = `The model's context is ${contextLength} tokens, but the prompt has ${atLeast}${tokens}.`;
  throw new ApiError('context_length_exceeded', message, { param: 'prompt' });
}
