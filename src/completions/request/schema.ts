import { Type, type Static } from 'typebox';

import { mapOf } from '../../lib/schema/map-of.js';
import { optional } from '../../lib/schema/optional.js';

const TokenId = Type.Integer({ minimum: 0 });
const largest = Number.MAX_SAFE_INTEGER;

const Prompt = Type.Union(
  [
    Type.String(),
    Type.Array(Type.String(), { minItems: 1 }),
    Type.Array(TokenId, { minItems: 1 }),
    Type.Array(Type.Array(TokenId), { minItems: 1 }),
  ],
  {
    title: 'a string, an array of strings, an array of token ids, or an array of those',
    description:
      'Of a model with an encoder: the source, which it reads. To a string the special tokens of its tokenizer are added; token ids are taken as they are.',
  },
);

/** What a field is where a request leaves it out. */
const ofCheckpoint = 'Left out, it is what the checkpoint of a model with an encoder says';

const Stop = Type.Union(
  [Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { maxItems: 4 }), Type.Null()],
  { title: 'a string that is not empty, or up to 4 of them' },
);

const EarlyStopping = Type.Union([Type.Boolean(), Type.Literal('never'), Type.Null()], {
  title: 'true, false or "never"',
  default: false,
  description:
    'With `use_beam_search`, when a search ends: `true`: as soon as it has as many hypotheses as beams; `false`: once the best beam, at its ' +
    'present length, is no better than the worst of them; `never`: once no beam can become better, however long.',
});

const BlendEntry = Type.Object(
  {
    model: Type.String({ description: 'As `model`: the base model, a prefix or a composition.' }),
    weight: Type.Number({ minimum: -10, maximum: 10, description: 'Below 0 too; 0 leaves the entry out.' }),
  },
  { additionalProperties: false },
);

/** What OpenAI keeps or sorts by. It changes nothing here. */
const withoutEffect = 'A label: accepted, and without effect.';

/** OpenAI's fields that are only labels. */
const labels = {
  user: optional(
    Type.String({
      description:
        'Of a prefix whose versions share its requests, the same user gets the same version. Otherwise a label without effect.',
    }),
  ),
  metadata: optional(mapOf(Type.String(), { description: withoutEffect })),
  store: optional(Type.Boolean({ description: `${withoutEffect} Nothing is stored.` })),
  safety_identifier: optional(Type.String({ description: withoutEffect })),
  prompt_cache_key: optional(Type.String({ description: withoutEffect })),
  service_tier: Type.Optional(
    Type.Union([Type.Literal('auto'), Type.Literal('default'), Type.Null()], {
      title: 'auto or default: there is one tier',
      description: withoutEffect,
    }),
  ),
};

/** How a prompt becomes tokens, beside what its model does by itself. */
const tokenization = {
  add_special_tokens: optional(
    Type.Boolean({
      description:
        'Whether a text gets the special tokens that the tokenizer puts around it. Left out: in a model with an encoder or of the Llama family it does, in others not.',
    }),
  ),
  truncate_prompt_tokens: optional(
    Type.Integer({
      minimum: -1,
      maximum: largest,
      description:
        'Only the last so many tokens of each prompt are read; -1: as many as fit beside the prefix and `max_tokens`. The special tokens ' +
        'around a text stay, and count. At most what fits.',
    }),
  ),
};

/** What of the generated tokens is in the text. */
const output = {
  include_stop_str_in_output: optional(
    Type.Boolean({
      default: false,
      description:
        'The text ends with the stop string, or with the text of the token of `stop_token_ids`, that ended it.',
    }),
  ),
  skip_special_tokens: optional(
    Type.Boolean({
      description:
        'Whether special tokens have no text. Left out: of a model with an encoder they have none, of others they are written.',
    }),
  ),
};

/** Changes of the logits: bias, then penalties, before temperature and truncation. */
const adjustments = {
  logit_bias: optional(
    mapOf(Type.Number({ minimum: -100, maximum: 100 }), {
      description: 'Token id, as a string, to what is added to its logit.',
    }),
  ),
  presence_penalty: optional(
    Type.Number({ minimum: -2, maximum: 2, default: 0, description: 'Over generated tokens.' }),
  ),
  frequency_penalty: optional(
    Type.Number({ minimum: -2, maximum: 2, default: 0, description: 'Over generated tokens.' }),
  ),
  repetition_penalty: optional(
    Type.Number({
      exclusiveMinimum: 0,
      default: 1,
      description:
        'Over prompt and generated tokens; of a model with an encoder, over those that the decoder has. 1 is off.',
    }),
  ),
};

/** The body of `POST /v1/completions`: OpenAI's fields and vLLM's. */
export const CompletionRequest = Type.Object(
  {
    model: Type.Optional(
      Type.String({
        description:
          'The base model, a prefix or its `adapter_id`; the latter two may have `@VERSION` behind them, and up to 8 of them may be composed: ' +
          '`a+b` puts b’s virtual tokens behind a’s. Required, unless there is a `blend`.',
      }),
    ),
    prompt: Prompt,
    blend: optional(
      Type.Array(BlendEntry, {
        minItems: 2,
        maxItems: 8,
        description:
          'The next token is drawn from the softmax of the weighted sum of the entries’ log-probabilities, each entry reading the same tokens ' +
          'behind its own prefix. Takes a slot for each entry. Not with `use_beam_search`.',
      }),
    ),
    guidance_scale: optional(
      Type.Number({
        minimum: -9,
        maximum: 10,
        description:
          'With a prefix as `model`: short for a `blend` of it with this weight and of the base model with 1 minus this; 1 is the prefix alone.',
      }),
    ),
    max_tokens: optional(
      Type.Integer({
        minimum: 0,
        maximum: largest,
        default: 16,
        description: 'Where a model with an encoder says how many, that is the default.',
      }),
    ),
    max_completion_tokens: optional(
      Type.Integer({ minimum: 0, maximum: largest, description: 'Another name of `max_tokens`.' }),
    ),
    temperature: optional(
      Type.Number({ minimum: 0, maximum: 2, default: 1, description: '0 is greedy, as is all below 0.00001.' }),
    ),
    top_p: optional(Type.Number({ minimum: 0, maximum: 1, default: 1 })),
    n: optional(Type.Integer({ minimum: 1, maximum: 128, default: 1 })),
    best_of: optional(
      Type.Integer({
        minimum: 1,
        maximum: 128,
        description:
          'Choices to generate, `n` unless given; the `n` of the highest log-probability per token are returned. ' +
          'With `use_beam_search`: the number of beams.',
      }),
    ),
    echo: optional(Type.Boolean({ default: false, description: 'The text begins with the prompt.' })),
    stop: Type.Optional(Stop),
    seed: optional(Type.Integer({ minimum: -largest, maximum: largest })),
    logprobs: optional(Type.Integer({ minimum: 0, maximum: 20 })),
    suffix: optional(Type.String({ description: 'Not supported: only `null`.' })),
    stream: optional(Type.Boolean({ default: false })),
    stream_options: optional(
      Type.Object(
        {
          include_usage: optional(
            Type.Boolean({ default: false, description: 'The last chunk has the usage, and no choices.' }),
          ),
          continuous_usage_stats: optional(
            Type.Boolean({
              default: false,
              description:
                'With `include_usage`: every chunk has the usage so far, of its choice and the prompt of that.',
            }),
          ),
          include_obfuscation: optional(Type.Boolean({ default: false, description: 'Not supported: only `false`.' })),
        },
        { additionalProperties: false },
      ),
    ),
    top_k: optional(Type.Integer({ minimum: -1, maximum: largest, default: 0, description: '0 and -1 are off.' })),
    min_p: optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        default: 0,
        description: 'Keeps tokens with at least this part of the best one’s probability; 0 is off.',
      }),
    ),
    stop_token_ids: optional(Type.Array(TokenId, { maxItems: 1024 })),
    ignore_eos: optional(Type.Boolean({ default: false })),
    min_tokens: optional(
      Type.Integer({
        minimum: 0,
        maximum: largest,
        default: 0,
        description: `Generated tokens before an end token may come. ${ofCheckpoint}; null and 0 turn it off.`,
      }),
    ),
    no_repeat_ngram_size: optional(
      Type.Integer({
        minimum: 0,
        maximum: largest,
        default: 0,
        description:
          'No run of so many tokens comes twice, in the prompt and what is generated; of a model with an encoder, in what is generated. ' +
          `${ofCheckpoint}; null and 0 turn it off.`,
      }),
    ),
    forced_bos_token_id: optional(
      Type.Integer({
        minimum: 0,
        description: `The first generated token, in models with an encoder alone. ${ofCheckpoint}; null turns it off.`,
      }),
    ),
    forced_eos_token_id: optional(
      Type.Integer({
        minimum: 0,
        description: `The token that \`max_tokens\` ends with, in models with an encoder alone. ${ofCheckpoint}; null turns it off.`,
      }),
    ),
    bad_words: optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
        maxItems: 128,
        description:
          'Words that are not generated, with a space before them or without: the last token of a word may not follow its others. ' +
          'A word that the prompt begins may be ended.',
      }),
    ),
    prompt_logprobs: optional(
      Type.Integer({
        minimum: 0,
        maximum: 20,
        description:
          'Log-probabilities of the prompt’s tokens, each with so many of the best of its place, in `prompt_logprobs` of each choice. Not in a ' +
          'stream, nor of a model with an encoder.',
      }),
    ),
    priority: optional(Type.Integer({ description: 'Not supported: only 0, as there is no scheduling by priority.' })),
    return_token_ids: optional(Type.Boolean({ default: false })),
    use_beam_search: optional(
      Type.Boolean({
        default: false,
        description:
          'Searches with `best_of` beams and returns the `n` hypotheses of the highest score, best first: log-probability divided ' +
          'by the number of tokens to the power of `length_penalty`. Nothing is sampled, and there is no stream.',
      }),
    ),
    length_penalty: optional(
      Type.Number({
        minimum: -10,
        maximum: 10,
        default: 1,
        description: 'With `use_beam_search`: above 0 longer hypotheses gain, below 0 shorter ones.',
      }),
    ),
    early_stopping: Type.Optional(EarlyStopping),
    ...tokenization,
    ...output,
    ...adjustments,
    ...labels,
  },
  {
    additionalProperties: false,
    title: 'CompletionRequest',
    examples: [
      { model: 'headlines', prompt: 'The', max_tokens: 24, temperature: 0 },
      {
        blend: [
          { model: 'headlines', weight: 1.5 },
          { model: 'preamble-demo', weight: -0.5 },
        ],
        prompt: 'The',
        max_tokens: 24,
        temperature: 0,
      },
    ],
  },
);
export type CompletionRequest = Static<typeof CompletionRequest>;
