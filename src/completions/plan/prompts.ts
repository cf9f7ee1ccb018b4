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

/** A text that is longer than the context is refused before it is tokenized. */
function encodePrompt(
  prompt: RawPrompt,
  encoder: TokenEncoder,
  { contextLength, virtualTokens }: PromptRoom,
  maxTokens: number,
): readonly number[] {
  if (typeof prompt === 'string') refuseLonger(encoder.minTokens(prompt), contextLength, 'at least ');
  const tokens = typeof prompt === 'string' ? encoder.encode(prompt) : prompt;
  if (tokens.length === 0) throw invalidValue('prompt', 'A prompt must have at least one token.');
  refuseLonger(tokens.length, contextLength);
  const total = virtualTokens + tokens.length + maxTokens;
  if (total <= contextLength) return tokens;
  throw tooLong(
    contextLength,
    `this request asks for ${total}: ${virtualTokens} of the prefix, ${tokens.length} of the prompt and ` +
      `${maxTokens} to generate ('max_tokens').`,
  );
}

function refuseLonger(tokens: number, contextLength: number, atLeast = ''): void {
  if (tokens > contextLength) throw tooLong(contextLength, `the prompt has ${atLeast}${tokens}.`);
}

function tooLong(contextLength: number, asked: string): CompletionError {
  const message = `The model's context is ${contextLength} tokens, but ${asked}`;
  return new CompletionError('context_length_exceeded', message, { param: 'prompt' });
}
