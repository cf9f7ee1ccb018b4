import { Type, type Static, type TSchema, type TObjectOptions, type TUnsafe } from 'typebox';

/**
 * An object with arbitrary keys and values of one kind. Unlike `Type.Record`: its pattern for keys does not match
 * line breaks, so values under keys with line breaks would be neither checked nor serialized.
 */
export function mapOf<T extends TSchema>(
  values: T,
  options: TObjectOptions = {},
): TUnsafe<Record<string, Static<T>>> & { readonly type: 'object' } {
  return Type.Unsafe<Record<string, Static<T>>>({ ...options, type: 'object', additionalProperties: values }) as never;
}
