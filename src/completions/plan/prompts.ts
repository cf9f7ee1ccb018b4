import type { PromptEncoder } from '../../tokenizer/token-encoder.js';
import { textUnsupported } from '../errors.js';
import type { CompletionParams, RawPrompt } from '../request/params.js';
import { contextExceeded, type PromptRoom, type SourceRoom } from './room.js';
import { emptyPrompt, truncate } from './truncation.js';

type PromptParams = Pick<CompletionParams, 'prompts' | 'maxTokens' | 'tokenization'>;

/** Encodes one prompt, and refuses one that does not fit. */
type EncodePrompt = (prompt: RawPrompt) => readonly number[];

/**
 * The token ids of each prompt, in order: what the model goes on from or, with a `source` room, what its encoder reads. Others are served between
 * two prompts, and nobody while a text is tokenized.
 * @throws CompletionError for a text where the model has no tokenizer, and for a prompt that is empty, or does not fit together with its
 * prefix and what is to be generated
 */
export async function encodePrompts(
  params: PromptParams,
  encoder: PromptEncoder,
  room: PromptRoom,
  yieldTurn: () => Promise<void>,
): Promise<(readonly number[])[]> {
  const { source } = room;
  const { textProblem } = encoder;
  if (textProblem !== undefined && params.prompts.some((prompt) => typeof prompt === 'string')) {
    throw textUnsupported('prompt', textProblem);
  }
  if (source) refuseLongTarget(room, source, params.maxTokens);
  const encode = source ? sourceEncoder(params, encoder, source) : promptEncoder(params, encoder, room);
  const encoded: (readonly number[])[] = [];
  for (const prompt of params.prompts) {
    await yieldTurn();
    encoded.push(encode(prompt));
  }
  return encoded;
}

function promptEncoder(
  { maxTokens, tokenization }: PromptParams,
  encoder: PromptEncoder,
  { contextLength, virtualTokens }: PromptRoom,
): EncodePrompt {
  const refuse = (asked: string): never => {
    throw contextExceeded('prompt', { tokens: contextLength }, asked);
  };
  const refuseLonger = (tokens: number, atLeast = ''): void => {
    if (tokens > contextLength) refuse(`the prompt has ${atLeast}${tokens}.`);
  };
  const { addsSpecialTokens = encoder.specialTokensInPrompts ?? false, truncation } = tokenization;
  const encode = textEncoder(encoder, addsSpecialTokens);
  if (truncation !== undefined) {
    const room = contextLength - virtualTokens - maxTokens;
    if (room < 1)
      refuse(`the prefix has ${virtualTokens}, 'max_tokens' is ${maxTokens}, and nothing is left for a prompt.`);
    return truncate({ keeps: truncation, room }, encoder, encode);
  }
  return (prompt) => {
    const tokens = tokensOf(prompt, encoder, encode, refuseLonger);
    const total = virtualTokens + tokens.length + maxTokens;
    if (total <= contextLength) return tokens;
    return refuse(
      `this request asks for ${total}: ${virtualTokens} of the prefix, ${tokens.length} of the prompt and ` +
        `${maxTokens} to generate ('max_tokens').`,
    );
  };
}

function sourceEncoder(
  { tokenization }: PromptParams,
  encoder: PromptEncoder,
  { sourceLength, virtualTokens }: SourceRoom,
): EncodePrompt {
  const refuseLonger = (tokens: number, atLeast = ''): void => {
    if (virtualTokens + tokens <= sourceLength) return;
    const asked = `the prompt has ${atLeast}${tokens}${virtualTokens > 0 ? ` and the prefix ${virtualTokens}` : ''}.`;
    throw contextExceeded('prompt', { tokens: sourceLength, of: 'encoder' }, asked);
  };
  const { addsSpecialTokens = true, truncation } = tokenization;
  const encode = textEncoder(encoder, addsSpecialTokens);
  if (truncation !== undefined) {
    refuseLonger(1);
    return truncate({ keeps: truncation, room: sourceLength - virtualTokens }, encoder, encode);
  }
  return (prompt) => tokensOf(prompt, encoder, encode, refuseLonger);
}

function textEncoder(encoder: PromptEncoder, addsSpecialTokens: boolean): (text: string) => readonly number[] {
  return (text) => (addsSpecialTokens ? encoder.encodeSource(text) : encoder.encode(text));
}

/** A text that is too long is refused before it is tokenized. */
function tokensOf(
  prompt: RawPrompt,
  encoder: PromptEncoder,
  encode: (text: string) => readonly number[],
  refuseLonger: (tokens: number, atLeast?: string) => void,
): readonly number[] {
  if (typeof prompt === 'string') refuseLonger(encoder.minTokens(prompt), 'at least ');
  const tokens = typeof prompt === 'string' ? encode(prompt) : prompt;
  if (tokens.length === 0) throw emptyPrompt();
  refuseLonger(tokens.length);
  return tokens;
}

function refuseLongTarget(
  { contextLength, virtualTokens }: PromptRoom,
  { startTokens }: SourceRoom,
  maxTokens: number,
): void {
  const total = virtualTokens + startTokens + maxTokens;
  if (total <= contextLength) return;
  const parts = `${virtualTokens} of the prefix, ${startTokens} that it starts with and ${maxTokens} to generate ('max_tokens').`;
  throw contextExceeded(
    'max_tokens',
    { tokens: contextLength, of: 'decoder' },
    `this request asks for ${total}: ${parts}`,
  );
}
