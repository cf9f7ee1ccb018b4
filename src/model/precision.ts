/** How keys and values are kept. */
export const KV_PRECISIONS = ['float32', 'float16'] as const;
export type KvPrecision = (typeof KV_PRECISIONS)[number];
