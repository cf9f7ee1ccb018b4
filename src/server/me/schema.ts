import { Type, type Static } from 'typebox';

import { nullable } from '../../lib/schema/optional.js';

const perMinute = (what: string) => nullable(Type.Integer({ description: `${what} a minute. Null: no limit.` }));

/** Limits of the caller's tenant, named as the operator's API names them. */
const Limits = Type.Object({
  weight: Type.Number({ description: 'Part of the machine, relative to other tenants.' }),
  requests_per_minute: perMinute('Requests'),
  tokens_per_minute: perMinute('Prompt and generated tokens'),
  max_prefixes: nullable(Type.Integer({ description: 'Null: no limit.' })),
  max_prefix_bytes: nullable(Type.Integer({ description: 'Bytes of all versions of all prefixes. Null: no limit.' })),
  queue_share: nullable(Type.Number({ description: 'Part of the waiting queue. Null: all of it.' })),
});

/** The frozen model that the server runs, and what requests to it look like. */
const BaseModelInfo = Type.Object({
  id: Type.String(),
  architecture: Type.Enum(['decoder', 'encoder_decoder'], {
    description: 'Of `encoder_decoder`, a prompt is a source, and the completion a text of its own.',
  }),
  chat: Type.Boolean({ description: 'Whether it has a chat template, so that it takes messages.' }),
  text: Type.Boolean({ description: 'Whether it has a tokenizer; without one, prompts are token ids.' }),
  context_length: Type.Integer({
    description: 'Positions of prefix, prompt and completion together; of an encoder-decoder, of the completion.',
  }),
  source_length: nullable(Type.Integer({ description: "Positions of an encoder's input; null without an encoder." })),
});

/** Answer of `GET /v1/me`. */
export const Me = Type.Object(
  {
    object: Type.Literal('me'),
    tenant: Type.String({ description: '`default` on a server without keys.' }),
    needs_key: Type.Boolean({ description: 'Whether requests need a key.' }),
    limits: Limits,
    use: Type.Object({
      prefixes: Type.Integer(),
      prefix_bytes: Type.Integer({ description: 'Of the current versions, in memory.' }),
    }),
    fine_tuning: Type.Boolean({ description: 'Whether there are routes for files and fine-tuning jobs.' }),
    base_model: BaseModelInfo,
  },
  { title: 'Me' },
);
export type Me = Static<typeof Me>;
