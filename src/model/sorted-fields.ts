/** Fields of an object, sorted by name: a fingerprint must not depend on the order in which a configuration is read. */
export function sortedFields(object: object): [string, unknown][] {
  return Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)) as [string, unknown][];
}
