import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import { findPrefix } from '../../completions/plan/prefix.js';
import type { BaseModel } from '../../prefix/kv.js';
import type { GrantedPrefix, PrefixGrants } from '../../prefix/grants.js';
import type { PrefixDetails, PrefixInfo, PrefixLibrary } from '../../prefix/library.js';
import { adapterId } from '../../prefix/name.js';
import { ApiError } from '../errors.js';
import { errorResponses } from '../schema/error.js';
import { DeletedModel, Model, ModelList, ModelParams } from './schema.js';

/** Parts of the program that the model routes use. */
export interface ModelDeps {
  readonly base: BaseModel;
  /** Start of serving, in Unix seconds: the base model's `created`. */
  readonly created: number;
  readonly library: Pick<PrefixLibrary, 'list' | 'get' | 'nameOf' | 'delete'> & {
    readonly grants: Pick<PrefixGrants, 'find' | 'granted'>;
  };
}

/** Routes of `/v1/models`: the base model, the caller's prefixes as its children, and those of others that the caller may use. */
const modelRoutes: FastifyPluginAsyncTypebox<ModelDeps> = async (app, { base, created, library }) => {
  const baseModel: Model = {
    id: base.id,
    object: 'model',
    created,
    owned_by: 'preamble',
    parent: null,
    adapter_id: null,
  };
  const toModel = (prefix: PrefixInfo, tenant: string): Model => ({
    id: prefix.name,
    object: 'model',
    created: prefix.created,
    owned_by: tenant,
    parent: base.id,
    adapter_id: adapterId(tenant, prefix.name),
  });

  const toForeignModel = ({ owner, name, details }: GrantedPrefix): Model => ({
    id: `${owner}:${name}`,
    object: 'model',
    created: details.created,
    owned_by: owner,
    parent: base.id,
    adapter_id: null,
  });

  /** Undefined: the base model. */
  const find = async (tenant: string, model: string): Promise<PrefixDetails | undefined> =>
    findPrefix({ base, library }, tenant, model, (prefixes, name, version) => prefixes.get(tenant, name, version));

  app.get(
    '/models',
    {
      schema: {
        operationId: 'listModels',
        summary: 'List models',
        tags: ['models'],
        response: { 200: ModelList, ...errorResponses },
      },
    },
    async ({ tenant }) => {
      const { data } = await library.list(tenant);
      const own = data.map((prefix) => toModel(prefix, tenant));
      const foreign = (await library.grants.granted(tenant)).map(toForeignModel);
      return { object: 'list' as const, data: [baseModel, ...own, ...foreign] };
    },
  );

  app.get(
    '/models/:id',
    {
      schema: {
        operationId: 'retrieveModel',
        summary: 'One model',
        tags: ['models'],
        params: ModelParams,
        response: { 200: Model, ...errorResponses },
      },
    },
    async ({ params, tenant }) => {
      const model = await findPrefix(
        { base, library },
        tenant,
        params.id,
        async (prefixes, name, version) => toModel(await prefixes.get(tenant, name, version), tenant),
        async ({ grants }, prefix, version) =>
          toForeignModel({ ...prefix, details: await grants.find(tenant, prefix, version) }),
      );
      return model ? { ...model, id: params.id } : baseModel;
    },
  );

  app.delete(
    '/models/:id',
    {
      schema: {
        operationId: 'deleteModel',
        summary: 'Delete a prefix',
        description: 'As `DELETE /v1/prefixes/{name}`. With `@VERSION` only where that is the only one.',
        tags: ['models'],
        params: ModelParams,
        response: { 200: DeletedModel, ...errorResponses },
      },
    },
    async ({ params: { id }, tenant }) => {
      const prefix = await find(tenant, id);
      if (!prefix) throw refuseDeletion('The base model cannot be deleted.');
      const { name, versions } = prefix;
      if (id.includes('@') && versions.length > 1) {
        throw refuseDeletion(`One of several versions cannot be deleted; '${name}' is all of them.`);
      }
      await library.delete(tenant, name);
      return { id, object: 'model' as const, deleted: true as const };
    },
  );
};

export default modelRoutes;

function refuseDeletion(message: string): ApiError {
  return new ApiError('invalid_value', message, { param: 'model' });
}
