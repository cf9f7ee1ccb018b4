import { toFloat16 } from '../../src/model/compile/float16.js';
import type { FloatTensor } from './goldens.js';

type Encode = (values: Float32Array) => NodeJS.TypedArray;

/** Values in some of the format's element types, and what they become in each. */
const TYPES = {
  F64: (values) => Float64Array.from(values),
  F32: (values) => values.slice(),
  F16: (values) => toFloat16(values.slice()),
  BF16: (values) => Uint16Array.from(new Uint32Array(values.slice().buffer), (bits) => bits >>> 16),
  I8: (values) => Int8Array.from(values, Math.sign),
} satisfies Record<string, Encode>;

/** A safetensors file with every tensor in one element type. */
export function encodeTensors(tensors: Readonly<Record<string, FloatTensor>>, type: keyof typeof TYPES): Buffer {
  const header: Record<string, object> = {};
  const parts: Buffer[] = [];
  let at = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const { buffer, byteOffset, byteLength } = TYPES[type](data);
    header[name] = { dtype: type, shape, data_offsets: [at, (at += byteLength)] };
    parts.push(Buffer.from(buffer, byteOffset, byteLength));
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...parts]);
}
