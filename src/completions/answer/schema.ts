import { Type, type Static } from 'typebox';

import { mapOf } from '../../lib/schema/map-of.js';
import { nullable } from '../../lib/schema/optional.js';

/** A value that is made when JSON is written of it. */
export interface MadeForJson<T> {
  toJSON(): T;
}

/** Log-probabilities of a choice's tokens, as lists of one entry a token. With `echo` those of the first token are null. */
export const Logprobs = Type.Object({
  tokens: Type.Array(Type.String()),
  token_logprobs: Type.Array(nullable(Type.Number())),
  top_logprobs: Type.Array(Type.Unsafe<MadeForJson<Record<string, number>> | null>(nullable(mapOf(Type.Number())))),
  text_offset: Type.Array(Type.Integer()),
});
export type Logprobs = Static<typeof Logprobs>;

const PromptLogprob = Type.Object({
  logprob: Type.Number(),
  rank: Type.Integer({ description: '1 is the best token of its place.' }),
  decoded_token: Type.String(),
});
export type PromptLogprob = Static<typeof PromptLogprob>;

/** Log-probabilities of a prompt's tokens by token id: of each its own and the best ones. Those of the first token are null. */
export const PromptLogprobs = Type.Array(
  Type.Unsafe<MadeForJson<Record<string, PromptLogprob>> | null>(nullable(mapOf(PromptLogprob))),
);
export type PromptLogprobs = Static<typeof PromptLogprobs>;

const choice = {
  text: Type.String(),
  index: Type.Integer(),
  logprobs: nullable(Logprobs),
  prompt_token_ids: Type.Optional(Type.Array(Type.Integer())),
  token_ids: Type.Optional(Type.Array(Type.Integer())),
};
const FinishReason = Type.Enum(['stop', 'length']);

/** One choice of an answer. */
export const Choice = Type.Object({
  ...choice,
  prompt_logprobs: Type.Optional(PromptLogprobs),
  finish_reason: FinishReason,
});
export type Choice = Static<typeof Choice>;

/** A part of one choice in a stream; the last one of a choice has its finish reason. */
export const ChunkChoice = Type.Object({ ...choice, finish_reason: Type.Union([FinishReason, Type.Null()]) });
export type ChunkChoice = Static<typeof ChunkChoice>;

export const Usage = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({
    prefix_tokens: Type.Integer({ description: 'Virtual tokens; not part of `prompt_tokens`.' }),
    cached_tokens: Type.Integer({
      description:
        'Prompt tokens that were not computed again: part of `prompt_tokens`. 0 unless the server keeps prompts.',
    }),
  }),
});
export type Usage = Static<typeof Usage>;

/** OpenAI's name for what has answered, beside the model. */
export const SystemFingerprint = Type.Optional(
  Type.String({ description: "The first 12 digits of the version of the request's prefix; left out without one." }),
);

const head = {
  id: Type.String(),
  object: Type.Literal('text_completion'),
  created: Type.Integer(),
  model: Type.String(),
  system_fingerprint: SystemFingerprint,
};

export const CompletionResponse = Type.Object(
  { ...head, choices: Type.Array(Choice), usage: Usage },
  { title: 'CompletionResponse' },
);
export type CompletionResponse = Static<typeof CompletionResponse>;

/**
 * One event of a stream. With `include_usage`, the last has the usage and no choices; the others have `usage: null` or, with
 * `continuous_usage_stats`, the tokens of their choice so far and of its prompt.
 */
export const CompletionChunk = Type.Object(
  { ...head, choices: Type.Array(ChunkChoice), usage: Type.Optional(Type.Union([Usage, Type.Null()])) },
  { title: 'CompletionChunk' },
);
export type CompletionChunk = Static<typeof CompletionChunk>;
