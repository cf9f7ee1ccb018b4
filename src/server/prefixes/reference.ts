import type { PrefixLibrary } from '../../prefix/library.js';
import { parsePrefixReference } from '../../prefix/name.js';

/** A name and a version, as the library's methods take them. */
type Reference = [name: string, version: string | undefined];

/** What `name` or `name@VERSION` stands for. What can be neither is passed on as a name, which the library does not find. */
export function toReference(text: string): Reference {
  const reference = parsePrefixReference(text);
  return reference ? [reference.name, reference.version] : [text, undefined];
}

/** As `toReference`, for what may also begin with an `adapter_id`: a tenant's `model`. Throws `prefix_not_found`. */
export async function toReferenceOf(
  library: Pick<PrefixLibrary, 'nameOf'>,
  tenant: string,
  model: string,
): Promise<Reference> {
  const [name, version] = toReference(model);
  return [await library.nameOf(tenant, name), version];
}
