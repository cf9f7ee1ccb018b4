import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import type { Batches } from '../../batches/batches.js';
import type { ChatDeps } from '../../completions/chat/chat.js';
import { ApiError } from '../errors.js';
import { errorResponses } from '../schema/error.js';
import { PageQuery } from '../schema/page-query.js';
import { toBatch, toBatchList } from './response.js';
import { BatchList, BatchObject, BatchParams, NewBatch } from './schema.js';

/** Parts of the program that the batch routes use. */
export interface BatchDeps extends Pick<ChatDeps, 'generation' | 'base'> {
  readonly batches: Pick<Batches, 'create' | 'get' | 'list' | 'stop'>;
}

const tags = ['batches'];
const createSchema = {
  operationId: 'createBatch',
  summary: 'Do the requests of a file',
  description: 'They are done as background work, in slots that nobody else wants, within 24 hours.',
  tags,
  body: NewBatch,
  response: { 200: BatchObject, ...errorResponses },
};
const listSchema = {
  operationId: 'listBatches',
  summary: 'List batches',
  tags,
  querystring: PageQuery,
  response: { 200: BatchList, ...errorResponses },
};
const getSchema = {
  operationId: 'retrieveBatch',
  summary: 'A batch',
  tags,
  params: BatchParams,
  response: { 200: BatchObject, ...errorResponses },
};
const cancelSchema = {
  operationId: 'cancelBatch',
  summary: 'Cancel a batch',
  description:
    'It is `cancelling` until its server has stopped, which takes seconds, and then `cancelled`. Answers and errors that are there stay, in its files. A batch that has ended, or whose files are being stored, is refused with `job_finished`.',
  tags,
  params: BatchParams,
  response: { 200: BatchObject, ...errorResponses },
};

/** Routes of `/v1/batches`. */
const batchRoutes: FastifyPluginAsyncTypebox<BatchDeps> = async (app, deps) => {
  const { batches, base, generation } = deps;

  app.post('/batches', { schema: createSchema }, async ({ tenant, body }) => {
    const { input_file_id: inputFile, endpoint, metadata = null, output_expires_after: expiry } = body;
    if ((expiry ?? undefined) !== undefined) refuseExpiry();
    if (endpoint === '/v1/chat/completions' && generation !== undefined) refuseChat(base.id);
    return toBatch(await batches.create(tenant, { inputFile, endpoint, metadata }), base.id);
  });

  app.get('/batches', { schema: listSchema }, async ({ tenant, query: { after, limit } }) =>
    toBatchList(await batches.list(tenant, { after, limit: Number(limit ?? 20) }), base.id),
  );

  app.get('/batches/:batch_id', { schema: getSchema }, async ({ tenant, params }) =>
    toBatch(await batches.get(tenant, params.batch_id), base.id),
  );

  app.post('/batches/:batch_id/cancel', { schema: cancelSchema }, async ({ tenant, params }) =>
    toBatch(await batches.stop(tenant, params.batch_id), base.id),
  );
};

export default batchRoutes;

/** Without an encoder, a prefix may have a chat template where the model has none: that is its line's matter. */
function refuseChat(model: string): never {
  const message = `The model '${model}' has no chat template: send its prompts to /v1/completions.`;
  throw new ApiError('chat_unsupported', message, { param: 'endpoint' });
}

function refuseExpiry(): never {
  const param = 'output_expires_after';
  const message = `'${param}' is not supported: leave it out. A file stays until \`DELETE /v1/files/{file_id}\`.`;
  throw new ApiError('unsupported_parameter', message, { param });
}
