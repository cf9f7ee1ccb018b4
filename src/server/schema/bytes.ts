import { Type } from 'typebox';

/** Content of a downloaded file. */
export const Bytes = Type.Unsafe<Uint8Array>({ type: 'string', format: 'binary' });
