import type { RequestPrefix } from '../../engine/request.js';
import { PrefixError } from '../../prefix/errors.js';
import type { BaseModel } from '../../prefix/kv.js';
import type { PrefixLibrary } from '../../prefix/library.js';
import { adapterId, parsePrefixReference } from '../../prefix/name.js';
import type { CompletionTrace } from '../context.js';
import { CompletionError } from '../errors.js';

/** The part of the prefix library that completions load from. */
export type PrefixSource = Pick<PrefixLibrary, 'load' | 'nameOf'>;

/** A base model and the prefixes for it: everything that a `model` may name. */
export interface Models<Library> {
  readonly base: Pick<BaseModel, 'id'>;
  readonly library: Library;
}

/**
 * The prefix that `model` names or has the `adapter_id` of, as `read` reads it; undefined for the base model itself.
 * @throws CompletionError `model_not_found`, or the code of the PrefixError: to a caller, a prefix is a model
 */
export async function findPrefix<Library extends Pick<PrefixLibrary, 'nameOf'>, T>(
  { base, library }: Models<Library>,
  tenant: string,
  model: string,
  read: (library: Library, name: string, version: string | undefined) => Promise<T>,
): Promise<T | undefined> {
  if (model === base.id) return undefined;
  try {
    const { name, version } = parsePrefixReference(model);
    return await read(library, await library.nameOf(tenant, name), version);
  } catch (error) {
    throw asModelError(error, model);
  }
}

/** A prefix with what its conversations are rendered by. */
export interface LoadedRequestPrefix extends RequestPrefix {
  /** Text of a chat template that its tenant uploaded; undefined: the model's counts. */
  readonly template: string | undefined;
}

/** The prefix of a request, which keeps it whatever happens to the name meanwhile. Throws as `findPrefix`. */
export async function loadPrefix(
  models: Models<PrefixSource>,
  tenant: string,
  model: string,
  trace: CompletionTrace | undefined,
): Promise<LoadedRequestPrefix | undefined> {
  const loaded = await findPrefix(models, tenant, model, (library, name, version) => {
    const loading = library.load(tenant, name, version);
    return trace?.prefixLoad(loading) ?? loading;
  });
  if (!loaded) return undefined;
  const { kv, info, template } = loaded;
  return { template, kv, placement: info.placement, version: info.version, id: adapterId(tenant, info.name) };
}

function asModelError(error: unknown, model: string): unknown {
  if (!(error instanceof PrefixError)) return error;
  const options = { param: 'model', cause: error };
  if (error.reason !== 'not_found') return new CompletionError(error.code, error.message, options);
  return new CompletionError('model_not_found', `The model '${model}' does not exist.`, options);
}
