import { Type, type Static, type TSchema, type TUnsafe, type TOptional } from 'typebox';

/**
 * A field that may be left out or be null, which both mean "not given" as with OpenAI. The type list, rather than `anyOf`,
 * keeps validation messages about the value itself.
 */
export function optional<T extends TSchema & { type: string }>(schema: T): TOptional<TUnsafe<Static<T> | null>> {
  return Type.Optional(nullable(schema));
}

/** A value or null, as one JSON schema type list. */
export function nullable<T extends TSchema & { type: string }>(schema: T): TUnsafe<Static<T> | null> {
  return Type.Unsafe<Static<T> | null>({ ...schema, type: [schema.type, 'null'] });
}
