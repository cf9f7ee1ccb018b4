/** A JSON object of an OpenAPI document. */
type Json = Record<string, unknown>;

/** A title that is the name of a type. Other titles say what a value must be. */
const TYPE_NAME = /^[A-Z][A-Za-z]*$/;

/**
 * The paths of an OpenAPI document with each schema that has a name stated once, in `schemas`, so that generated clients have one
 * type for it under that name. Throws where two different schemas have one name.
 */
export function nameSchemas<T>(paths: T): { readonly paths: T; readonly schemas: Readonly<Record<string, object>> } {
  const schemas: Record<string, Json> = {};
  const named = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map(named);
    const copy = Object.fromEntries(Object.entries(value).map(([key, part]) => [key, named(part)]));
    const { title } = copy;
    if (typeof title !== 'string' || !TYPE_NAME.test(title)) return copy;
    const known = (schemas[title] ??= copy);
    if (JSON.stringify(known) !== JSON.stringify(copy)) throw new Error(`Two schemas are called ${title}.`);
    return { $ref: `#/components/schemas/${title}` };
  };
  return { paths: named(paths) as T, schemas };
}
