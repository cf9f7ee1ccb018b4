import type { ChatChunk, ChunkLogprobs, ManyChunk } from '../api/types.js';
import type { Addition, Alternative, Token } from './answer.js';

/** What a chunk of a completion adds; undefined: nothing, as it has no choice. */
export function additionOfCompletion({ choices, usage }: ManyChunk & { readonly error?: never }): Addition | undefined {
  const [choice] = choices;
  if (choice === undefined) return undefined;
  return {
    text: choice.text,
    tokens: choice.logprobs ? tokensOf(choice.logprobs) : [],
    tokensSoFar: usage?.completion_tokens,
    finishReason: choice.finish_reason,
  };
}

/**
 * What a chunk of a conversation's answer adds; undefined: nothing.
 * @param length UTF-16 units of the answer so far
 */
export function additionOfChat({ choices, usage }: ChatChunk, length: number): Addition | undefined {
  const [choice] = choices;
  if (choice === undefined) return undefined;
  const text = choice.delta.content ?? '';
  // In JSON each entry is what its `toJSON` makes.
  const scored = (choice.logprobs?.content ?? []) as unknown as readonly ScoredToken[];
  let offset = length;
  const tokens = scored.map(({ token, logprob, top_logprobs }): Token => {
    const at = Math.min(offset, length + text.length);
    offset += text.startsWith(token, offset - length) ? token.length : 0;
    const alternatives = top_logprobs.map((one) => ({ text: one.token, logprob: one.logprob }));
    return { offset: at, name: token, logprob, alternatives };
  });
  return { text, tokens, tokensSoFar: usage?.completion_tokens, finishReason: choice.finish_reason };
}

interface Scored {
  readonly token: string;
  readonly logprob: number;
}

interface ScoredToken extends Scored {
  readonly top_logprobs: readonly Scored[];
}

function tokensOf({ tokens, token_logprobs, top_logprobs, text_offset }: ChunkLogprobs): Token[] {
  return tokens.map((name, index) => ({
    offset: text_offset[index] ?? 0,
    name,
    logprob: token_logprobs[index] ?? 0,
    alternatives: alternativesOf(top_logprobs[index] ?? {}),
  }));
}

function alternativesOf(top: Readonly<Record<string, number>>): Alternative[] {
  return Object.entries(top)
    .map(([text, logprob]) => ({ text, logprob }))
    .sort((a, b) => b.logprob - a.logprob);
}
