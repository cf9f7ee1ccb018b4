/**
 * Gathers the fields `NAME[KEY]` of a query under `NAME`, the way in which OpenAI's clients write an object. `NAME=` and `NAME=null`,
 * as they write null, become null. Where both forms are given, the fields stay as they are.
 */
export function foldDeepObject(fields: Readonly<Record<string, unknown>>, name: string): Record<string, unknown> {
  const whole = fields[name];
  if (whole !== undefined) return { ...fields, [name]: whole === '' || whole === 'null' ? null : whole };
  const isPart = ([field]: [string, unknown]): boolean => field.startsWith(`${name}[`) && field.endsWith(']');
  const entries = Object.entries(fields);
  const parts = entries.filter(isPart);
  if (parts.length === 0) return { ...fields };
  const others = entries.filter((entry) => !isPart(entry));
  const folded = parts.map(([field, value]) => [field.slice(name.length + 1, -1), value] as const);
  return { ...Object.fromEntries(others), [name]: Object.fromEntries(folded) };
}
