import type { PrefixLibrary } from '../../prefix/library.js';
import { parsePrefixReference } from '../../prefix/name.js';

/** A name and a version, as the library's methods take them. */
type Reference = [name: string, version: string | undefined];

/** Parses `name` or `name@VERSION`. An invalid text is returned as a name, which the library will not find. */
export function toReference(text: string): Reference {
  const reference = parsePrefixReference(text);
  return reference ? [reference.name, reference.version] : [text, undefined];
}

/**
 * Parses `name` or `name@VERSION`, where an `adapter_id` may stand for the name: the `model` of a request. Throws
 * `prefix_not_found`.
 */
export async function toReferenceOf(
  library: Pick<PrefixLibrary, 'nameOf'>,
  tenant: string,
  model: string,
): Promise<Reference> {
  const [name, version] = toReference(model);
  return [await library.nameOf(tenant, name), version];
}
