import { readFile } from 'node:fs/promises';

import { describe, expect, it } from 'vitest';

import { ConversionError } from '../../src/conversion/errors.js';
import { readTorchFile } from '../../src/conversion/torch/checkpoint.js';
import { decodeFloats } from '../../src/safetensors/index.js';
import { fileOf, floatStorage, op, torchFile, tuple, zipOf, type TestTensor } from './torch-file.js';

const goldens = new URL('goldens/', import.meta.url);

function valuesIn(file: Uint8Array): Record<string, number[]> {
  return Object.fromEntries(
    [...readTorchFile(file)].map(([name, { bytes, dtype }]) => [name, [...decodeFloats(bytes, dtype)]]),
  );
}

/** A pickle's operations with the beginning and the end that every one has. */
function pickled(...operations: readonly (readonly number[])[]): Uint8Array {
  return fileOf([...op.protocol(2), ...operations.flat(), ...op.stop]);
}

/** A file with a tensor in a storage of six numbers. */
function tensorFile(tensor: Omit<TestTensor, 'storage'>): Uint8Array {
  return torchFile({ 0: floatStorage([1, 2, 3, 4, 5, 6]) }, { t: { storage: '0', ...tensor } });
}

describe('a file of torch.save', () => {
  it('has the tensors of each storage type', () => {
    const half = { type: 'HalfStorage', bytes: Uint8Array.of(0x00, 0x3c, 0x00, 0xc1), length: 2 };
    const bfloat = { type: 'BFloat16Storage', bytes: Uint8Array.of(0x80, 0x3f, 0x20, 0xc0), length: 2 };
    const file = torchFile(
      { 0: floatStorage([1, 2, 3, 4, 5, 6]), 1: half, 2: bfloat },
      {
        whole: { storage: '0', shape: [2, 3] },
        part: { storage: '0', offset: 4, shape: [2, 1], stride: [1, 9] },
        half: { storage: '1', shape: [2] },
        bfloat: { storage: '2', shape: [2] },
      },
    );
    expect(valuesIn(file)).toEqual({
      whole: [1, 2, 3, 4, 5, 6],
      part: [5, 6],
      half: [1, -2.5],
      bfloat: [1, -2.5],
    });
    expect(readTorchFile(file).get('whole')?.shape).toEqual([2, 3]);
  });

  it('may be a state_dict with attributes, which are dropped', () => {
    const dict = [...op.global('collections', 'OrderedDict'), ...op.emptyTuple, ...op.reduce];
    const attributes = [...op.emptyDict, ...op.text('_metadata'), ...op.int(1), ...op.setItem];
    expect(readTorchFile(pickled(dict, attributes, op.build)).size).toBe(0);
  });

  const sub = op.global('torch._utils', '_rebuild_tensor_v2');
  it.each<[what: string, file: Uint8Array, message: string]>([
    ['of old torch', Uint8Array.of(0x80, 2, 0x8a, 0x0a), 'save it again with a newer torch'],
    ['that is empty', new Uint8Array(), 'not a file of torch.save'],
    ['that is compressed', zipOf({ 'a/data.pkl': Uint8Array.of(1) }, 8), 'compressed'],
    ['without a pickle', zipOf({ 'a/other': Uint8Array.of(1) }), 'needs one data.pkl'],
    [
      'of a big-endian machine',
      zipOf({ 'a/data.pkl': Uint8Array.of(1), 'a/byteorder': new TextEncoder().encode('big') }),
      'byteorder: "big"',
    ],
    ['of another protocol', fileOf([...op.protocol(4), ...op.emptyDict, ...op.stop]), 'protocol 4'],
    ['that calls a function', pickled(op.global('os', 'system'), tuple([op.text('id')]), op.reduce), '"os system"'],
    ['that hides a global', pickled(op.text('os'), op.text('system'), [0x93], op.emptyTuple, op.reduce), '0x93'],
    ['with an object of a class', pickled(op.emptyTuple, [0x81]), '0x81'],
    ['that calls a storage type', pickled(op.global('torch', 'FloatStorage'), op.emptyTuple, op.reduce), 'not called'],
    ['with attributes of a tuple', pickled(op.emptyTuple, op.emptyDict, op.build), 'sets attributes'],
    ['with another dtype', pickled(op.global('torch', 'DoubleStorage')), '"torch DoubleStorage"'],
    ['with a list of tensors', pickled(op.emptyTuple), 'no dict of tensors'],
    ['with a number', pickled(op.emptyDict, op.text('epoch'), op.int(3), op.setItem), 'by name: "epoch"'],
    ['with a key that is no text', pickled(op.emptyDict, op.int(1), op.int(3), op.setItem), 'not a text'],
    ['with a tensor of no storage', pickled(sub, tuple([op.int(1)]), op.reduce), 'in a way that torch.save does not'],
    ['with a strange reference', pickled(op.text('x'), op.persistent), 'not the storage of a tensor'],
    ['with a forgotten memo', pickled([0x68, 7]), 'malformed'],
    ['with too few values', pickled(op.emptyDict, op.setItem), 'malformed'],
    ['that ends early', fileOf(op.protocol(2)), 'ends too early'],
    ['with a tensor that is too large', tensorFile({ shape: [2, 3], offset: 1 }), '[2, 3] is larger than its storage'],
    ['with a tensor of endless size', tensorFile({ shape: [2 ** 30] }), 'larger than its storage'],
    ['with a negative size', tensorFile({ shape: [-1] }), 'in a way that torch.save does not'],
    ['with a transposed tensor', tensorFile({ shape: [3, 2], stride: [1, 3] }), 'not contiguous'],
    ['with a repeated row', tensorFile({ shape: [1000, 6], stride: [0, 1] }), 'not contiguous'],
    [
      'with a storage that is too short',
      torchFile({ 0: { ...floatStorage([1]), length: 2 } }, { t: { storage: '0', shape: [2] } }),
      'the storage "0" is missing, or has not the 2 elements',
    ],
  ])('%s is refused', (_, file, message) => {
    expect(() => readTorchFile(file)).toThrow(ConversionError);
    expect(() => readTorchFile(file)).toThrow(message);
  });

  it('is refused with an error of its own wherever it is cut, and is never misread where a bit is wrong', async () => {
    const file = new Uint8Array(await readFile(new URL('adapterhub-flat/pytorch_adapter.bin', goldens)));
    const right = JSON.stringify(valuesIn(file));
    for (let length = 0; length < file.length; length++) {
      expect(() => valuesIn(file.subarray(0, length))).toThrow(ConversionError);
    }
    let refused = 0;
    for (let at = 0; at < file.length; at++) {
      const changed = file.slice();
      changed[at]! ^= 1 << (at % 8);
      try {
        expect(JSON.stringify(valuesIn(changed))).toBe(right);
      } catch (error) {
        expect(error).toBeInstanceOf(ConversionError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(file.length / 2);
  });
});
