import { Type, type Static, type TSchema } from 'typebox';

import { mapOf } from '../../lib/schema/map-of.js';
import { nullable, optional } from '../../lib/schema/optional.js';
import { PageQuery } from '../schema/page-query.js';

function auto<T extends TSchema>(schema: T, title: string) {
  return Type.Optional(Type.Union([schema, Type.Literal('auto')], { title: `${title}, or 'auto'` }));
}

/** A page of a list. */
function listOf<T extends TSchema>(item: T, title: string) {
  const data = Type.Array(item, { description: 'Newest first.' });
  return Type.Object({ object: Type.Literal('list'), data, has_more: Type.Boolean() }, { title });
}

const Hyperparameters = Type.Object(
  {
    n_epochs: auto(Type.Integer({ minimum: 1, maximum: 1000 }), 'an integer from 1 to 1000'),
    batch_size: auto(Type.Integer({ minimum: 1, maximum: 256 }), 'an integer from 1 to 256'),
    learning_rate_multiplier: auto(
      Type.Number({ exclusiveMinimum: 0, maximum: 1e6 }),
      'a number above 0 and at most 1000000',
    ),
  },
  { additionalProperties: false, title: 'Hyperparameters' },
);

const steps = { minimum: 1, maximum: 10_000_000 };

/** Settings of a prefix's training that OpenAI's API does not have. */
const PrefixTuning = Type.Object(
  {
    method: Type.Optional(Type.Enum(['prefix', 'embedding', 'infix'])),
    length: optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_536,
        description:
          'Virtual tokens; 10, or those of the words or of the prefix in `model`. No more than a prefix may have.',
      }),
    ),
    mlp: optional(Type.Integer({ minimum: 0, maximum: 4096, description: 'Hidden width in training; 0: none.' })),
    init: optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        description: '`random`, or words whose activations are the start.',
      }),
    ),
    learning_rate: optional(Type.Number({ exclusiveMinimum: 0, maximum: 10 })),
    max_steps: optional(
      Type.Integer({ ...steps, description: 'Number of steps. `n_epochs` has no effect if it is given.' }),
    ),
    warmup_steps: optional(Type.Integer({ minimum: 0, maximum: 10_000_000 })),
    early_stopping: optional(Type.Boolean({ description: 'End when validation gets no better; needs a file for it.' })),
    patience: optional(Type.Integer({ minimum: 1, maximum: 10_000, description: 'Validations without a better one.' })),
    eval_every: optional(Type.Integer(steps)),
    sites: optional(
      Type.Array(Type.Enum(['encoder', 'decoder', 'cross']), {
        minItems: 1,
        uniqueItems: true,
        description: "An encoder-decoder's sites that get virtual tokens; all unless given.",
      }),
    ),
    loss_mean: Type.Optional(
      Type.Enum(['sentences', 'tokens'], {
        description: "The loss is the mean over a batch's sentences, each the sum of its tokens', or over its tokens.",
      }),
    ),
    too_long: Type.Optional(
      Type.Enum(['fail', 'skip', 'cut'], {
        description:
          'What becomes of examples that do not fit the context: the job fails, they are left out, or their sources are cut. An event says how many there are.',
      }),
    ),
  },
  { additionalProperties: false, title: 'PrefixTuning' },
);
export type PrefixTuning = Static<typeof PrefixTuning>;

/** Body of `POST /v1/fine_tuning/jobs`. */
export const NewJob = Type.Object(
  {
    model: Type.String({
      description: 'The base model, or a prefix of the caller to go on from: name, `NAME@VERSION` or `adapter_id`.',
    }),
    training_file: Type.String(),
    validation_file: optional(Type.String()),
    suffix: optional(Type.String({ description: "The prefix's name; the job's id unless given." })),
    seed: optional(Type.Integer({ minimum: 0, maximum: 2_147_483_647 })),
    hyperparameters: Type.Optional(Hyperparameters),
    method: Type.Optional(
      Type.Object(
        {
          type: Type.Enum(['supervised']),
          supervised: Type.Optional(
            Type.Object({ hyperparameters: Type.Optional(Hyperparameters) }, { additionalProperties: false }),
          ),
        },
        { additionalProperties: false },
      ),
    ),
    metadata: optional(mapOf(Type.String({ maxLength: 512 }), { maxProperties: 16, propertyNames: { maxLength: 64 } })),
    integrations: optional(Type.Array(Type.Unknown(), { maxItems: 0, description: 'Not supported: only empty.' })),
    prefix_tuning: Type.Optional(PrefixTuning),
  },
  {
    additionalProperties: false,
    title: 'NewFineTuningJob',
    examples: [
      {
        model: 'preamble-demo',
        training_file: `file-${'0'.repeat(24)}`,
        suffix: 'users/alice',
        prefix_tuning: { mlp: 0, learning_rate: 0.005 },
      },
    ],
  },
);
export type NewJob = Static<typeof NewJob>;

const UsedHyperparameters = Type.Object({
  n_epochs: Type.Integer(),
  batch_size: Type.Integer(),
  learning_rate_multiplier: Type.Number(),
});
const seconds = () => Type.Integer({ description: 'Unix seconds.' });

export const Job = Type.Object(
  {
    object: Type.Literal('fine_tuning.job'),
    id: Type.String(),
    model: Type.String(),
    created_at: seconds(),
    finished_at: nullable(seconds()),
    estimated_finish: nullable(seconds()),
    fine_tuned_model: nullable(
      Type.String({ description: 'What `model` is in a request, once the job has succeeded.' }),
    ),
    organization_id: Type.String({ description: 'The tenant.' }),
    status: Type.Enum(['queued', 'running', 'succeeded', 'failed', 'cancelled']),
    training_file: Type.String(),
    validation_file: nullable(Type.String()),
    user_provided_suffix: nullable(Type.String()),
    result_files: Type.Array(Type.String()),
    trained_tokens: nullable(Type.Integer({ description: 'Tokens learned from, over all steps.' })),
    hyperparameters: UsedHyperparameters,
    method: Type.Object({
      type: Type.Literal('supervised'),
      supervised: Type.Object({ hyperparameters: UsedHyperparameters }),
    }),
    prefix_tuning: Type.Object({
      method: Type.Enum(['prefix', 'embedding', 'infix']),
      length: nullable(Type.Integer()),
      mlp: Type.Integer(),
      init: Type.String(),
      learning_rate: Type.Number(),
      max_steps: nullable(Type.Integer()),
      warmup_steps: Type.Integer(),
      early_stopping: Type.Boolean(),
      patience: nullable(Type.Integer()),
      eval_every: Type.Integer(),
      sites: nullable(Type.Array(Type.String())),
      loss_mean: Type.String(),
      too_long: Type.String(),
    }),
    seed: Type.Integer(),
    metadata: nullable(mapOf(Type.String())),
    integrations: Type.Array(Type.Null(), { description: 'Always empty.' }),
    error: Type.Union([
      Type.Object({ code: Type.String(), message: Type.String(), param: nullable(Type.String()) }),
      Type.Null(),
    ]),
  },
  { title: 'FineTuningJob' },
);
export type Job = Static<typeof Job>;

export const JobList = listOf(Job, 'FineTuningJobList');
export type JobList = Static<typeof JobList>;

export const JobEventObject = Type.Object(
  {
    object: Type.Literal('fine_tuning.job.event'),
    id: Type.String(),
    created_at: seconds(),
    level: Type.Enum(['info', 'warn', 'error']),
    type: Type.Enum(['message', 'metrics']),
    message: Type.String(),
    data: nullable(mapOf(Type.Number())),
  },
  { title: 'FineTuningJobEvent' },
);
export type JobEventObject = Static<typeof JobEventObject>;

export const JobEventList = listOf(JobEventObject, 'FineTuningJobEventList');
export type JobEventList = Static<typeof JobEventList>;

/** Query of a list of jobs. */
export const JobQuery = Type.Object(
  {
    ...PageQuery.properties,
    metadata: optional(
      mapOf(Type.String(), {
        description: 'Pairs that a job must have, as `metadata[KEY]=VALUE`; `metadata=null`: only jobs without any.',
      }),
    ),
  },
  { additionalProperties: false },
);

/** Answer of `GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints`. */
export const CheckpointList = Type.Object(
  {
    object: Type.Literal('list'),
    data: Type.Array(Type.Null(), { maxItems: 0, description: 'Always empty.' }),
    first_id: Type.Null(),
    last_id: Type.Null(),
    has_more: Type.Literal(false),
  },
  { title: 'FineTuningJobCheckpointList' },
);

export const JobParams = Type.Object({ fine_tuning_job_id: Type.String() });
