import { Type, type Static } from 'typebox';

import { BATCH_ENDPOINTS } from '../../batches/batch.js';
import { mapOf } from '../../lib/schema/map-of.js';
import { nullable, optional } from '../../lib/schema/optional.js';

/** Body of `POST /v1/batches`. */
export const NewBatch = Type.Object(
  {
    input_file_id: Type.String({ description: 'A file of purpose `batch`: a request on each line.' }),
    endpoint: Type.Enum([...BATCH_ENDPOINTS], { description: 'The `url` of every request in the file.' }),
    completion_window: Type.Enum(['24h']),
    metadata: optional(mapOf(Type.String({ maxLength: 512 }), { maxProperties: 16, propertyNames: { maxLength: 64 } })),
    output_expires_after: Type.Optional(Type.Unknown({ description: 'Not supported: leave it out.' })),
  },
  {
    additionalProperties: false,
    title: 'NewBatch',
    examples: [{ input_file_id: `file-${'0'.repeat(24)}`, endpoint: '/v1/completions', completion_window: '24h' }],
  },
);
export type NewBatch = Static<typeof NewBatch>;

const time = (description: string) => nullable(Type.Integer({ description: `${description} Unix seconds.` }));
const tokens = (): ReturnType<typeof Type.Integer> => Type.Integer();

const BatchErrors = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(
    Type.Object({
      code: Type.String(),
      message: Type.String(),
      param: nullable(Type.String({ description: 'The field at fault.' })),
      line: nullable(Type.Integer({ description: 'Of the input file, from 1.' })),
    }),
  ),
});

/** A batch as OpenAI's API has it. */
export const BatchObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('batch'),
    endpoint: Type.String(),
    model: Type.String({ description: 'The base model. Each request names the base model or a prefix.' }),
    errors: Type.Union([BatchErrors, Type.Null()], { description: 'Why a batch has failed.' }),
    input_file_id: Type.String(),
    completion_window: Type.Literal('24h'),
    status: Type.Enum([
      'validating',
      'failed',
      'in_progress',
      'finalizing',
      'completed',
      'expired',
      'cancelling',
      'cancelled',
    ]),
    output_file_id: nullable(Type.String({ description: 'Answers, in any order; null: there are none.' })),
    error_file_id: nullable(
      Type.String({ description: 'Requests that were refused or failed; null: there are none.' }),
    ),
    created_at: Type.Integer({ description: 'Unix seconds.' }),
    in_progress_at: time('When the file was found to be one of requests.'),
    expires_at: Type.Integer({ description: 'When requests that are not done are given up. Unix seconds.' }),
    finalizing_at: time('When no more requests were done.'),
    completed_at: time('When all was stored.'),
    failed_at: time('When the batch failed.'),
    expired_at: time('When all was stored of a batch whose time was over.'),
    cancelling_at: time('When it was asked to be cancelled.'),
    cancelled_at: time('When it was cancelled.'),
    request_counts: Type.Object({
      total: Type.Integer({ description: 'Requests in the file; 0 until they are counted.' }),
      completed: Type.Integer(),
      failed: Type.Integer(),
    }),
    usage: Type.Object({
      input_tokens: tokens(),
      input_tokens_details: Type.Object({ cached_tokens: tokens() }),
      output_tokens: tokens(),
      output_tokens_details: Type.Object({ reasoning_tokens: Type.Literal(0) }),
      total_tokens: tokens(),
    }),
    metadata: nullable(mapOf(Type.String())),
  },
  { title: 'Batch' },
);
export type BatchObject = Static<typeof BatchObject>;

export const BatchList = Type.Object(
  {
    object: Type.Literal('list'),
    data: Type.Array(BatchObject, { description: 'Newest first.' }),
    first_id: nullable(Type.String()),
    last_id: nullable(Type.String({ description: 'The next page is `after` this one.' })),
    has_more: Type.Boolean(),
  },
  { title: 'BatchList' },
);
export type BatchList = Static<typeof BatchList>;

export const BatchParams = Type.Object({ batch_id: Type.String() });
