import { Type } from 'typebox';

/** A file that is downloaded. */
export const Bytes = Type.Unsafe<Uint8Array>({ type: 'string', format: 'binary' });
