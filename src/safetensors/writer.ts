/** A float32 tensor to write. */
export interface FloatTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * Encodes float32 tensors as a safetensors file, in the given order, with the metadata that PEFT writes (`format:
 * pt`). Throws RangeError when the number of values of a tensor does not match its shape.
 */
export function encodeSafetensors(tensors: Readonly<Record<string, FloatTensor>>): Uint8Array<ArrayBuffer> {
  const header = encodeHeader(tensors);
  const dataBytes = Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);
  const file = new Uint8Array(8 + header.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  let at = 8 + header.length;
  for (const { data } of Object.values(tensors)) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/** The JSON header, padded with spaces so that the data starts at a multiple of 8 bytes. */
function encodeHeader(tensors: Readonly<Record<string, FloatTensor>>): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let at = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    if (shape.reduce((product, dim) => product * dim, 1) !== data.length) {
      throw new RangeError(`tensor ${name}: ${data.length} values are not [${shape.join(', ')}]`);
    }
    header[name] = { dtype: 'F32', shape, data_offsets: [at, at + data.byteLength] };
    at += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  padded.set(text);
  return padded;
}
