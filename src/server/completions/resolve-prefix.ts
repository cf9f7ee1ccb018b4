import type { RequestPrefix } from '../../engine/request.js';
import { PrefixError } from '../../prefix/errors.js';
import type { BaseModel } from '../../prefix/kv.js';
import type { LoadedPrefix, PrefixLibrary } from '../../prefix/library.js';
import { adapterId } from '../../prefix/name.js';
import type { RequestTrace } from '../../tracing/request-trace.js';
import { ApiError } from '../errors.js';
import { toReferenceOf } from '../prefixes/reference.js';

/** What completions need of the prefix library. */
export type PrefixSource = Pick<PrefixLibrary, 'load' | 'nameOf'>;

/**
 * The prefix that a request's `model` names or has the `adapter_id` of; undefined for the base model itself. The running request keeps
 * what it got here, whatever happens to the name meanwhile.
 * @throws ApiError `model_not_found`
 */
export async function resolvePrefix(
  { base, library }: { readonly base: BaseModel; readonly library: PrefixSource },
  tenant: string,
  model: string,
  trace: RequestTrace | undefined,
): Promise<RequestPrefix | undefined> {
  if (model === base.id) return undefined;
  try {
    const loading = load(library, tenant, model);
    const { kv, info } = await (trace?.prefixLoad(loading) ?? loading);
    return { kv, placement: info.placement, version: info.version, id: adapterId(tenant, info.name) };
  } catch (error) {
    throw asModelError(error, model);
  }
}

async function load(library: PrefixSource, tenant: string, model: string): Promise<LoadedPrefix> {
  return library.load(tenant, ...(await toReferenceOf(library, tenant, model)));
}

/** To a request, a prefix is a model: what is wrong with the name is wrong with `model`. */
export function asModelError(error: unknown, model: string): unknown {
  if (!(error instanceof PrefixError)) return error;
  if (error.reason === 'not_found') {
    return new ApiError('model_not_found', `The model '${model}' does not exist.`, { param: 'model', cause: error });
  }
  return new ApiError(error.code, error.message, { param: 'model', cause: error });
}
