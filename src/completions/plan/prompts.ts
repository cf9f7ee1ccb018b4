import type { PromptEncoder } from '../../tokenizer/token-encoder.js';
import { invalidValue } from '../errors.js';
import type { CompletionParams, RawPrompt } from '../request/params.js';
import { contextExceeded, type PromptRoom, type SourceRoom } from './room.js';

/**
 * The token ids of each prompt, in order: what the model goes on from or, with a `source` room, what its encoder reads. Others are served between
 * two prompts, and nobody while a text is tokenized.
 * @throws CompletionError for a prompt that is empty, or does not fit together with its prefix and what is to be generated
 */
export async function encodePrompts(
  { prompts, maxTokens }: Pick<CompletionParams, 'prompts' | 'maxTokens'>,
  encoder: PromptEncoder,
  room: PromptRoom,
  yieldTurn: () => Promise<void>,
): Promise<(readonly number[])[]> {
  const { source } = room;
  if (source) refuseLongTarget(room, source, maxTokens);
  const encoded: (readonly number[])[] = [];
  for (const prompt of prompts) {
    await yieldTurn();
    encoded.push(source ? encodeSource(prompt, encoder, source) : encodePrompt(prompt, encoder, room, maxTokens));
  }
  return encoded;
}

/** A text that is longer than the context is refused before it is tokenized. */
function encodePrompt(
  prompt: RawPrompt,
  encoder: PromptEncoder,
  { contextLength, virtualTokens }: PromptRoom,
  maxTokens: number,
): readonly number[] {
  const refuse = (asked: string): never => {
    throw contextExceeded('prompt', `The model's context is ${contextLength} tokens, but ${asked}`);
  };
  const refuseLonger = (tokens: number, atLeast = ''): void => {
    if (tokens > contextLength) refuse(`the prompt has ${atLeast}${tokens}.`);
  };
  if (typeof prompt === 'string') refuseLonger(encoder.minTokens(prompt), 'at least ');
  const tokens = typeof prompt === 'string' ? encoder.encode(prompt) : prompt;
  refuseEmpty(tokens);
  refuseLonger(tokens.length);
  const total = virtualTokens + tokens.length + maxTokens;
  if (total <= contextLength) return tokens;
  return refuse(
    `this request asks for ${total}: ${virtualTokens} of the prefix, ${tokens.length} of the prompt and ` +
      `${maxTokens} to generate ('max_tokens').`,
  );
}

/** As `encodePrompt`, for what an encoder reads. */
function encodeSource(
  prompt: RawPrompt,
  encoder: PromptEncoder,
  { sourceLength, virtualTokens }: SourceRoom,
): readonly number[] {
  const refuseLonger = (tokens: number, atLeast = ''): void => {
    if (virtualTokens + tokens <= sourceLength) return;
    const asked = `the prompt has ${atLeast}${tokens}${virtualTokens > 0 ? ` and the prefix ${virtualTokens}` : ''}.`;
    throw contextExceeded('prompt', `The model's encoder reads ${sourceLength} tokens, but ${asked}`);
  };
  if (typeof prompt === 'string') refuseLonger(encoder.minTokens(prompt), 'at least ');
  const tokens = typeof prompt === 'string' ? encoder.encodeSource(prompt) : prompt;
  refuseEmpty(tokens);
  refuseLonger(tokens.length);
  return tokens;
}

function refuseEmpty({ length }: readonly number[]): void {
  if (length === 0) throw invalidValue('prompt', 'A prompt must have at least one token.');
}

function refuseLongTarget(
  { contextLength, virtualTokens }: PromptRoom,
  { startTokens }: SourceRoom,
  maxTokens: number,
) {
  const total = virtualTokens + startTokens + maxTokens;
  if (total <= contextLength) return;
  const parts = `${virtualTokens} of the prefix, ${startTokens} that it starts with and ${maxTokens} to generate ('max_tokens').`;
  const message = `The context of the model's decoder is ${contextLength} tokens, but this request asks for ${total}: ${parts}`;
  throw contextExceeded('max_tokens', message);
}
