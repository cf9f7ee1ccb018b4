/** Types in which a compiled model can keep the weights of its matrix products. */
export const WEIGHT_PRECISIONS = ['float32', 'float16', 'int8', 'int4'] as const;
export type WeightPrecision = (typeof WEIGHT_PRECISIONS)[number];

/** Types in which keys and values can be kept; attention is computed in the same type. */
export const KV_PRECISIONS = ['float32', 'float16'] as const;
export type KvPrecision = (typeof KV_PRECISIONS)[number];
