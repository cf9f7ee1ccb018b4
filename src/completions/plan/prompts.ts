import type { TokenEncoder } from '../../tokenizer/token-encoder.js';
import { CompletionError, invalidValue } from '../errors.js';
import type { CompletionParams, RawPrompt } from '../request/params.js';

/** The room that a prompt must fit. */
export interface PromptRoom {
  readonly contextLength: number;
  /** Virtual tokens of the prefix. */
  readonly virtualTokens: number;
}

/**
 * The token ids of each prompt, in order. Others are served between two prompts, and nobody while a text is tokenized.
 * @throws CompletionError for a prompt that is empty, or does not fit the context together with its prefix and what is to be
 * generated
 */
export async function encodePrompts(
  { prompts, maxTokens }: Pick<CompletionParams, 'prompts' | 'maxTokens'>,
  encoder: TokenEncoder,
  room: PromptRoom,
  yieldTurn: () => Promise<void>,
): Promise<(readonly number[])[]> {
  const encoded: (readonly number[])[] = [];
  for (const prompt of prompts) {
    await yieldTurn();
    encoded.push(encodePrompt(prompt, encoder, room, maxTokens));
  }
  return encoded;
}

/** A text that cannot fit is refused before it is tokenized. */
function encodePrompt(
  prompt: RawPrompt,
  encoder: TokenEncoder,
  room: PromptRoom,
  maxTokens: number,
): readonly number[] {
  if (typeof prompt === 'string') refuseTooLong(encoder.minTokens(prompt), room, maxTokens, 'at least ');
  const tokens = typeof prompt === 'string' ? encoder.encode(prompt) : prompt;
  if (tokens.length === 0) throw invalidValue('prompt', 'A prompt must have at least one token.');
  refuseTooLong(tokens.length, room, maxTokens);
  return tokens;
}

function refuseTooLong(
  tokens: number,
  { contextLength, virtualTokens }: PromptRoom,
  maxTokens: number,
  atLeast = '',
): void {
  const total = virtualTokens + tokens + maxTokens;
  if (total <= contextLength) return;
  const asked =
    tokens > contextLength
      ? `the prompt has ${atLeast}${tokens}.`
      : `this request asks for ${atLeast}${total}: ${virtualTokens} of the prefix, ${atLeast}${tokens} of the prompt and ` +
        `${maxTokens} to generate ('max_tokens').`;
  const message = `The model's context is ${contextLength} tokens, but ${asked}`;
  throw new CompletionError('context_length_exceeded', message, { param: 'prompt' });
}
