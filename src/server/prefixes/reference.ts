import { parsePrefixReference } from '../../prefix/name.js';

/**
 * The name and version that `name` or `name@VERSION` stands for, as the library's methods take them. What can be neither is passed
 * on as a name, which the library does not find.
 */
export function toReference(text: string): [name: string, version: string | undefined] {
  const reference = parsePrefixReference(text);
  return reference ? [reference.name, reference.version] : [text, undefined];
}
