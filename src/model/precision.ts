/** How a compiled model keeps the weights of its matrix products. */
export const WEIGHT_PRECISIONS = ['float32', 'float16', 'int8', 'int4'] as const;
export type WeightPrecision = (typeof WEIGHT_PRECISIONS)[number];

/** How keys and values are kept, and in which type attention is computed. */
export const KV_PRECISIONS = ['float32', 'float16'] as const;
export type KvPrecision = (typeof KV_PRECISIONS)[number];
