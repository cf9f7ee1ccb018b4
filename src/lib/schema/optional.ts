import { Type, type Static, type TSchema, type TUnsafe, type TOptional } from 'typebox';

/**
 * A field that may be left out or null; both mean "not given", as in OpenAI's API. Uses a type list instead of
 * `anyOf`, so that validation messages are about the value.
 */
export function optional<T extends TSchema & { type: string }>(schema: T): TOptional<TUnsafe<Static<T> | null>> {
  return Type.Optional(nullable(schema));
}

/** A value or null, as a JSON Schema type list. */
export function nullable<T extends TSchema & { type: string }>(schema: T): TUnsafe<Static<T> | null> {
  return Type.Unsafe<Static<T> | null>({ ...schema, type: [schema.type, 'null'] });
}
