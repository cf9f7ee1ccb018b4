import type { ParameterName } from '../method.js';

/** One number for each element of each trained tensor: parameters, gradients, moments. */
export type Values = ReadonlyMap<ParameterName, Float32Array>;

/** Zeros like `values`. */
export function zerosLike(values: Values): Values {
  return mapValues(values, (value) => new Float32Array(value.length));
}

/** A copy that later steps do not change. */
export function copyValues(values: Values): Values {
  return mapValues(values, (value) => value.slice());
}

function mapValues(values: Values, map: (value: Float32Array) => Float32Array): Values {
  return new Map([...values].map(([name, value]) => [name, map(value)]));
}
