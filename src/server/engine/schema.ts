import { Type, type Static } from 'typebox';

import { nullable } from '../../lib/schema/optional.js';

const count = (description: string): ReturnType<typeof Type.Integer> => Type.Integer({ description });

const Slot = Type.Object(
  {
    state: Type.Enum(['free', 'prefill', 'decode', 'reserved'], {
      description: '`reserved`: kept for a beam of a search whose prompt is being computed.',
    }),
    tenant: nullable(
      Type.Integer({ description: 'A number in place of a name, of this process alone. Null: the slot is free.' }),
    ),
    priority: Type.Union([Type.Enum(['interactive', 'background']), Type.Null()]),
    positions: count('Positions in use, of `context_length`.'),
  },
  { title: 'EngineSlot' },
);

const Interval = Type.Object(
  {
    seconds: Type.Number(),
    steps: count('Forward passes.'),
    prompt_tokens: count('Tokens of prompts and sources that were computed.'),
    generated_tokens: Type.Integer(),
    step_seconds_p50: nullable(Type.Number({ description: 'Median of the forward passes. Null: there was none.' })),
    step_seconds_p95: nullable(Type.Number({ description: '95th percentile of the forward passes.' })),
  },
  { title: 'EngineInterval' },
);

/** Answer of `GET /v1/admin/engine`, and each event of `GET /v1/admin/engine/events`. */
export const EngineState = Type.Object(
  {
    object: Type.Literal('engine'),
    time: Type.Number({ description: 'Unix seconds.' }),
    context_length: count('Positions of a slot.'),
    slots: Type.Array(Slot),
    running: count('Sequences in slots.'),
    waiting: Type.Object({ interactive: Type.Integer(), background: Type.Integer() }),
    waiting_tokens: count('Prompt tokens and `max_tokens` of the sequences that wait.'),
    kv_usage: Type.Number({ description: 'Part of all positions of slots that is in use, 0 to 1.' }),
    prompt_tokens: count('Of finished sequences, since the start.'),
    generated_tokens: count('Since the start.'),
    prefix_cache: Type.Object({
      queries: count('Prefixes that were asked for, since the start.'),
      hits: count('Those whose keys and values were in memory.'),
      bytes: Type.Integer(),
    }),
    prompt_cache: Type.Object({
      query_tokens: count('Prompt tokens that it was asked for, since the start.'),
      hit_tokens: count('Those that it had.'),
      bytes: Type.Integer(),
    }),
    drafts: Type.Object({
      verified: count('Drafts, since the start.'),
      draft_tokens: count('Their tokens.'),
      accepted_tokens: count('Those that the model chose.'),
    }),
    interval: Type.Union([Interval, Type.Null()], {
      description: 'Since the event before. Null in an answer that is no stream, and in the first event.',
    }),
  },
  { title: 'EngineState' },
);
export type EngineState = Static<typeof EngineState>;
