import { Type, type Static } from 'typebox';

import { nullable, optional } from '../../lib/schema/optional.js';
import { type MadeForJson, SystemFingerprint, Usage } from '../answer/schema.js';
import { CompletionRequest } from '../request/schema.js';

/** Most messages of a conversation: more than a context has room for, and rendered in some tens of milliseconds. */
const MAX_MESSAGES = 2048;

const TextPart = Type.Object(
  { type: Type.Literal('text'), text: Type.String() },
  { additionalProperties: false, description: 'Several are joined by line breaks.' },
);

const Message = Type.Object(
  {
    role: Type.Enum(['system', 'developer', 'user', 'assistant'], {
      description: 'What a model’s template does not know it refuses. There are no tools.',
    }),
    content: Type.Union([Type.String(), Type.Array(TextPart, { minItems: 1 })], {
      title: 'a text, or an array of {"type":"text","text"}',
    }),
    name: optional(Type.String({ description: 'For templates that use it.' })),
    refusal: Type.Optional(Type.Null()),
  },
  { additionalProperties: false },
);

/** What makes no sense of a conversation, or has another form there. */
const NOT_SHARED = [
  ...(['prompt', 'suffix', 'echo', 'best_of', 'logprobs', 'prompt_logprobs'] as const),
  ...(['use_beam_search', 'length_penalty', 'early_stopping', 'forced_bos_token_id', 'forced_eos_token_id'] as const),
  ...([
    'add_special_tokens',
    'truncate_prompt_tokens',
    'max_tokens',
    'max_completion_tokens',
    'skip_special_tokens',
  ] as const),
] as const;

const largest = Number.MAX_SAFE_INTEGER;
const notSupported = (what: string) => ({ description: `Not supported: only ${what}.` });

/** The body of `POST /v1/chat/completions`: OpenAI's fields and vLLM's. */
export const ChatRequest = Type.Object(
  {
    messages: Type.Array(Message, { minItems: 1, maxItems: MAX_MESSAGES }),
    ...Type.Omit(CompletionRequest, NOT_SHARED).properties,
    max_completion_tokens: optional(
      Type.Integer({ minimum: 1, maximum: largest, description: 'Left out: as many as the context has room for.' }),
    ),
    max_tokens: optional(
      Type.Integer({ minimum: 1, maximum: largest, description: 'The old name of `max_completion_tokens`.' }),
    ),
    logprobs: optional(Type.Boolean({ default: false })),
    top_logprobs: optional(Type.Integer({ minimum: 0, maximum: 20, description: 'Needs `logprobs` to be true.' })),
    skip_special_tokens: optional(Type.Boolean({ default: true, description: 'Whether special tokens have no text.' })),
    add_generation_prompt: optional(
      Type.Boolean({ default: true, description: 'Whether the text ends where the assistant’s message begins.' }),
    ),
    tools: optional(Type.Array(Type.Unknown(), notSupported('an empty array'))),
    tool_choice: optional(Type.String(notSupported('`none` and `auto`'))),
    functions: optional(Type.Array(Type.Unknown(), notSupported('an empty array'))),
    function_call: optional(Type.String(notSupported('`none` and `auto`'))),
    modalities: optional(Type.Array(Type.String(), notSupported('`["text"]`'))),
    response_format: optional(Type.Object({ type: Type.String() }, notSupported('`{"type":"text"}`'))),
  },
  {
    additionalProperties: false,
    title: 'ChatCompletionRequest',
    examples: [
      { model: 'headlines', messages: [{ role: 'user', content: 'What is new?' }], max_completion_tokens: 24 },
    ],
  },
);
export type ChatRequest = Static<typeof ChatRequest>;

const scored = {
  token: Type.String(),
  logprob: Type.Number(),
  bytes: Type.Array(Type.Integer({ minimum: 0, maximum: 255 })),
};
const ChatLogprob = Type.Object({ ...scored, top_logprobs: Type.Array(Type.Object(scored)) });
export type ChatLogprob = Static<typeof ChatLogprob>;

/** Log-probabilities of a message's tokens, the end token among them. */
const ChatLogprobs = Type.Object({
  content: Type.Array(Type.Unsafe<MadeForJson<ChatLogprob>>(ChatLogprob)),
  refusal: Type.Null(),
});

const FinishReason = Type.Enum(['stop', 'length']);
const TokenIds = Type.Optional(Type.Array(Type.Integer()));

/** One choice of an answer. */
export const ChatChoice = Type.Object({
  index: Type.Integer(),
  message: Type.Object({ role: Type.Literal('assistant'), content: Type.String(), refusal: Type.Null() }),
  logprobs: nullable(ChatLogprobs),
  finish_reason: FinishReason,
  token_ids: TokenIds,
});
export type ChatChoice = Static<typeof ChatChoice>;

/** A part of one choice in a stream: first its role, then its text, then its finish reason. */
export const ChatChunkChoice = Type.Object({
  index: Type.Integer(),
  delta: Type.Object({ role: Type.Optional(Type.Literal('assistant')), content: Type.Optional(Type.String()) }),
  logprobs: nullable(ChatLogprobs),
  finish_reason: Type.Union([FinishReason, Type.Null()]),
  token_ids: TokenIds,
});
export type ChatChunkChoice = Static<typeof ChatChunkChoice>;

const head = {
  id: Type.String(),
  created: Type.Integer(),
  model: Type.String(),
  system_fingerprint: SystemFingerprint,
  prompt_token_ids: TokenIds,
};

export const ChatCompletion = Type.Object(
  { ...head, object: Type.Literal('chat.completion'), choices: Type.Array(ChatChoice), usage: Usage },
  { title: 'ChatCompletion' },
);
export type ChatCompletion = Static<typeof ChatCompletion>;

/** One event of a stream; `usage` is as in `CompletionChunk`. */
export const ChatCompletionChunk = Type.Object(
  {
    ...head,
    object: Type.Literal('chat.completion.chunk'),
    choices: Type.Array(ChatChunkChoice),
    usage: Type.Optional(Type.Union([Usage, Type.Null()])),
  },
  { title: 'ChatCompletionChunk' },
);
export type ChatCompletionChunk = Static<typeof ChatCompletionChunk>;
