import { Type, type Static, type TSchema, type TObjectOptions, type TUnsafe } from 'typebox';

/**
 * An object with values of one kind, whatever its keys. `Type.Record` has a pattern for the keys, whose `.` matches no line break:
 * keys with one would be neither checked nor written.
 */
export function mapOf<T extends TSchema>(
  values: T,
  options: TObjectOptions = {},
): TUnsafe<Record<string, Static<T>>> & { readonly type: 'object' } {
  return Type.Unsafe<Record<string, Static<T>>>({ ...options, type: 'object', additionalProperties: values }) as never;
}
