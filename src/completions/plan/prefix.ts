import type { RequestPrefix } from '../../engine/request.js';
import { PrefixError } from '../../prefix/errors.js';
import { type BaseModel, composeKv } from '../../prefix/kv.js';
import type { LoadedPrefix, PrefixLibrary } from '../../prefix/library.js';
import { adapterId, parseModelReference, parsePrefixReference } from '../../prefix/name.js';
import type { Asker } from '../../prefix/shares.js';
import type { ForeignPrefix } from '../../prefix/store.js';
import type { CompletionTrace } from '../context.js';
import { CompletionError, invalidValue } from '../errors.js';

/** Most prefixes of one composition. */
const MAX_COMPOSED = 8;

/** The part of the prefix library that completions load from. */
export type PrefixSource = Pick<PrefixLibrary, 'load' | 'nameOf'>;

/** A base model and the prefixes for it: everything that a `model` may name. */
export interface Models<Library> {
  readonly base: Pick<BaseModel, 'id'>;
  readonly library: Library;
}

/**
 * The prefix that `model` names or has the `adapter_id` of, as `read` reads it; undefined for the base model itself. A composition is none.
 * @param readForeign reads a prefix of another tenant, `owner:name`; unless given, there are none
 * @throws CompletionError `model_not_found`, or the code of the PrefixError: to a caller, a prefix is a model
 */
export async function findPrefix<Library extends Pick<PrefixLibrary, 'nameOf'>, T>(
  { base, library }: Models<Library>,
  tenant: string,
  model: string,
  read: Read<Library, string, T>,
  readForeign?: Read<Library, ForeignPrefix, T>,
): Promise<T | undefined> {
  return model === base.id ? undefined : readPrefix(library, tenant, { model, param: 'model' }, { read, readForeign });
}

/** Reads a prefix by what names it and, perhaps, the first digits of a version. */
type Read<Library, Name, T> = (library: Library, name: Name, version: string | undefined) => Promise<T>;

/** How the caller's own prefixes are read, and (if at all) those of other tenants. */
interface Readers<Library, T> {
  readonly read: Read<Library, string, T>;
  readonly readForeign: Read<Library, ForeignPrefix, T> | undefined;
}

async function readPrefix<Library extends Pick<PrefixLibrary, 'nameOf'>, T>(
  library: Library,
  tenant: string,
  { model, param }: Required<NamedModel>,
  { read, readForeign }: Readers<Library, T>,
): Promise<T> {
  try {
    const { owner, ...prefix } = parseModelReference(model);
    if (owner !== undefined && readForeign)
      return await readForeign(library, { owner, name: prefix.name }, prefix.version);
    const { name, version } = parsePrefixReference(model);
    return await read(library, await library.nameOf(tenant, name), version);
  } catch (error) {
    throw asModelError(error, model, param);
  }
}

/** A prefix with what its conversations are rendered by. */
export interface LoadedRequestPrefix extends RequestPrefix {
  /** Texts of chat templates that its tenant uploaded: of a composition, all that differ; none: the model's counts. */
  readonly templates: readonly string[];
  /** Opaque ids of the versions that were chosen among several that share a name. */
  readonly chosenIds: readonly string[];
}

/** A model as a request names it. */
interface NamedModel {
  readonly model: string;
  /** The field that names it; `model` unless given. */
  readonly param?: string;
}

/**
 * The prefix of a request, or several that are composed (`a+b`), which keeps them whatever happens to the names meanwhile; undefined for the
 * base model.
 * @throws CompletionError as `findPrefix`, for each part of a composition; and for one that is not possible
 */
export async function loadPrefix(
  { base, library }: Models<PrefixSource>,
  { tenant, user }: Asker,
  { model, param = 'model' }: NamedModel,
  trace: CompletionTrace | undefined,
): Promise<LoadedRequestPrefix | undefined> {
  if (model === base.id) return undefined;
  const parts = model.split('+');
  refuseImpossible(parts, { base: base.id, param });
  const loadOne = async (owner: string, name: string, version: string | undefined): Promise<LoadedRequestPrefix> => {
    const loading = library.load(tenant, name, version, { user, owner });
    return toRequestPrefix(owner, await (trace?.prefixLoad(loading) ?? loading));
  };
  const readers: Readers<PrefixSource, LoadedRequestPrefix> = {
    read: (_, name, version) => loadOne(tenant, name, version),
    readForeign: (_, { owner, name }, version) => loadOne(owner, name, version),
  };
  const load = (part: string): Promise<LoadedRequestPrefix> =>
    readPrefix(library, tenant, { model: part, param }, readers);
  const [first, ...others] = await Promise.all(parts.map(load));
  if (first === undefined || others.length === 0) return first;
  return compose([first, ...others], param);
}

function refuseImpossible(parts: readonly string[], { base, param }: { base: string; param: string }): void {
  if (parts.length > MAX_COMPOSED) {
    throw invalidValue(param, `'${param}' composes ${parts.length} prefixes: ${MAX_COMPOSED} are the limit.`);
  }
  if (parts.length > 1 && parts.includes(base)) {
    throw invalidValue(param, `'${param}': the base model '${base}' adds nothing to a composition; leave it out.`);
  }
}

function toRequestPrefix(owner: string, { kv, info, template, chosenId }: LoadedPrefix): LoadedRequestPrefix {
  const { placement, version, name } = info;
  return {
    templates: template === undefined ? [] : [template],
    kv,
    placement,
    version,
    ids: [adapterId(owner, name)],
    chosenIds: chosenId === undefined ? [] : [chosenId],
  };
}

/** A version is hex digits, so those of the parts in a row name the composition and nothing else. */
function compose(parts: readonly [LoadedRequestPrefix, ...LoadedRequestPrefix[]], param: string): LoadedRequestPrefix {
  const [{ placement }] = parts;
  if (parts.some((part) => part.placement !== placement)) {
    const message = `'${param}' composes prefixes with infixes: all of a composition must have one placement, 'prefix' or 'infix'.`;
    throw invalidValue(param, message);
  }
  return {
    templates: [...new Set(parts.flatMap(({ templates }) => templates))],
    kv: composeKv(parts.map(({ kv }) => kv)),
    placement,
    version: parts.map(({ version }) => version).join('+'),
    ids: parts.flatMap(({ ids = [] }) => ids),
    chosenIds: [...new Set(parts.flatMap(({ chosenIds }) => chosenIds))],
  };
}

function asModelError(error: unknown, model: string, param: string): unknown {
  if (!(error instanceof PrefixError)) return error;
  const options = { param, cause: error };
  if (error.reason !== 'not_found') return new CompletionError(error.code, error.message, options);
  return new CompletionError('model_not_found', `The model '${model}' does not exist.`, options);
}
