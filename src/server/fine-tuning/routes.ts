import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';

import { findPrefix } from '../../completions/plan/prefix.js';
import type { FineTuning } from '../../fine-tuning/fine-tuning.js';
import type { BaseModel } from '../../prefix/kv.js';
import type { PrefixLibrary } from '../../prefix/library.js';
import { type JobRequestDeps, type StartingModel, toJobRequest } from './params.js';
import { ApiError } from '../errors.js';
import { foldDeepObject } from '../http/deep-object.js';
import { toEventList, toJob, toJobList } from './response.js';
import { errorResponses } from '../schema/error.js';
import { PageQuery } from '../schema/page-query.js';
import { CheckpointList, Job, JobEventList, JobList, JobParams, JobQuery, NewJob } from './schema.js';

/** Parts of the program that the fine-tuning routes use. */
export interface FineTuningRouteDeps extends JobRequestDeps {
  readonly fineTuning: Pick<FineTuning, 'create' | 'get' | 'list' | 'cancel' | 'events'>;
  readonly library: JobRequestDeps['library'] & Pick<PrefixLibrary, 'get' | 'nameOf'>;
  readonly base: BaseModel;
}

const tags = ['fine-tuning'];
const createSchema = {
  operationId: 'createFineTuningJob',
  summary: 'Train a prefix',
  description:
    'The prefix is trained on one file of the caller. `fine_tuned_model` is what it is called, once `status` is `succeeded`.',
  tags,
  body: NewJob,
  response: { 200: Job, ...errorResponses },
};
const listSchema = {
  operationId: 'listFineTuningJobs',
  summary: 'List fine-tuning jobs',
  tags,
  querystring: JobQuery,
  response: { 200: JobList, ...errorResponses },
};
const getSchema = {
  operationId: 'retrieveFineTuningJob',
  summary: 'A fine-tuning job',
  tags,
  params: JobParams,
  response: { 200: Job, ...errorResponses },
};
const cancelSchema = {
  operationId: 'cancelFineTuningJob',
  summary: 'Cancel a fine-tuning job',
  description:
    'Training ends within seconds, and nothing of it is kept. A job that is trained, and whose prefix is being stored, is refused with `job_finished`.',
  tags,
  params: JobParams,
  response: { 200: Job, ...errorResponses },
};
const eventsSchema = {
  operationId: 'listFineTuningEvents',
  summary: 'What happened to a fine-tuning job',
  tags,
  params: JobParams,
  querystring: PageQuery,
  response: { 200: JobEventList, ...errorResponses },
};

const checkpointsSchema = {
  operationId: 'listFineTuningJobCheckpoints',
  summary: 'The checkpoints of a fine-tuning job',
  description: 'There are none: of a job, only the prefix that `fine_tuned_model` names is kept.',
  tags,
  params: JobParams,
  querystring: PageQuery,
  response: { 200: CheckpointList, ...errorResponses },
};

/** What of OpenAI's API cannot be done with a job, and what to do instead. */
const REFUSED = {
  pause:
    'A job cannot be paused here. Cancel it with `POST /v1/fine_tuning/jobs/{id}/cancel`, and create it again later.',
  resume: 'A job cannot be paused here, so there is none to resume. Create it again with `POST /v1/fine_tuning/jobs`.',
};

/** Routes of `/v1/fine_tuning/jobs`. */
const fineTuningRoutes: FastifyPluginAsyncTypebox<FineTuningRouteDeps> = async (app, deps) => {
  const { fineTuning, library, base } = deps;
  const startOf = async (tenant: string, model: string): Promise<StartingModel> =>
    findPrefix({ base, library }, tenant, model, (prefixes, name, version) => prefixes.get(tenant, name, version));

  app.post('/fine_tuning/jobs', { schema: createSchema }, async ({ tenant, body }) => {
    const request = toJobRequest(body, deps, await startOf(tenant, body.model));
    return toJob(await fineTuning.create(tenant, request), tenant);
  });

  const preValidation = async (request: FastifyRequest): Promise<void> => {
    request.query = foldDeepObject(request.query as Record<string, unknown>, 'metadata');
  };
  app.get('/fine_tuning/jobs', { schema: listSchema, preValidation }, async ({ tenant, query }) => {
    const { after, limit, metadata } = query;
    return toJobList(await fineTuning.list(tenant, { after, limit: Number(limit ?? 20) }, metadata), tenant);
  });

  app.get('/fine_tuning/jobs/:fine_tuning_job_id', { schema: getSchema }, async ({ tenant, params }) =>
    toJob(await fineTuning.get(tenant, params.fine_tuning_job_id), tenant),
  );

  app.post('/fine_tuning/jobs/:fine_tuning_job_id/cancel', { schema: cancelSchema }, async ({ tenant, params }) =>
    toJob(await fineTuning.cancel(tenant, params.fine_tuning_job_id), tenant),
  );

  app.get('/fine_tuning/jobs/:fine_tuning_job_id/events', { schema: eventsSchema }, async (request) => {
    const { tenant, params, query } = request;
    const options = { after: query.after, limit: Number(query.limit ?? 20) };
    return toEventList(await fineTuning.events(tenant, params.fine_tuning_job_id, options));
  });

  app.get('/fine_tuning/jobs/:fine_tuning_job_id/checkpoints', { schema: checkpointsSchema }, async (request) => {
    await fineTuning.get(request.tenant, request.params.fine_tuning_job_id);
    return { object: 'list' as const, data: [], first_id: null, last_id: null, has_more: false as const };
  });

  for (const [action, refusal] of Object.entries(REFUSED)) {
    const schema = { hide: true, params: JobParams };
    app.post(`/fine_tuning/jobs/:fine_tuning_job_id/${action}`, { schema }, async ({ tenant, params }) => {
      await fineTuning.get(tenant, params.fine_tuning_job_id);
      throw new ApiError('unsupported_operation', refusal);
    });
  }
};

export default fineTuningRoutes;
