/** Types in which a compiled model can keep the weights of its matrix products. */
export const WEIGHT_PRECISIONS = ['float32', 'float16', 'int8', 'int4'] as const;
export type WeightPrecision = (typeof WEIGHT_PRECISIONS)[number];

/**
 * How weights of 8 bits are kept and multiplied. `signed` and `unsigned`: one scale for each output, products of integers; which of the two a
 * processor multiplies fast, or at all exactly, depends on its instructions. `blocks`: one scale for 32 inputs of each output, as 4 bits have it.
 */
export type Int8Form = 'signed' | 'unsigned' | 'blocks';

/** Types in which keys and values can be kept; attention is computed in the same type. */
export const KV_PRECISIONS = ['float32', 'float16'] as const;
export type KvPrecision = (typeof KV_PRECISIONS)[number];
