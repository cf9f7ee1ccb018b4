import type { Int8Form, WeightPrecision } from '../precision.js';
import { BITS, type Bits } from './quantize.js';

export type DerivedPrecision = Exclude<WeightPrecision, 'float32'>;

/** What the weights of matrix products become. */
export type DerivedForm =
  | { readonly kind: 'float16' }
  | { readonly kind: 'blocks'; readonly bits: Bits }
  | { readonly kind: 'columns'; readonly isSigned: boolean };

/** The form of a precision; `int8` is that of 8 bits. */
export function derivedForm(precision: DerivedPrecision, int8: Int8Form): DerivedForm {
  if (precision === 'float16') return { kind: 'float16' };
  if (precision === 'int4' || int8 === 'blocks') return { kind: 'blocks', bits: BITS[precision] };
  return { kind: 'columns', isSigned: int8 === 'signed' };
}
