import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import {
  encodeSafetensors,
  parseSafetensors,
  readSafetensorsHeader,
  SAFETENSORS_ERROR_CODES,
  SafetensorsError,
} from '../../src/safetensors/index.js';
import { eight, file, tensor, refusedFiles } from './refused-files.js';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-safetensors-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));

function refusal(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('refusals', () => {
  it.each(refusedFiles)('%s: %s', async (code, _, bytes) => {
    const error = refusal(() => parseSafetensors(bytes));
    expect(error).toBeInstanceOf(SafetensorsError);
    expect((error as SafetensorsError).code).toBe(code);
    expect((error as SafetensorsError).message.length).toBeLessThan(400);

    const onDisk = path.join(directory, 'refused.safetensors');
    fs.writeFileSync(onDisk, bytes);
    await expect(readSafetensorsHeader(onDisk)).rejects.toMatchObject({ code });
  });

  it.each([
    [
      'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5481\n',
      'a Git LFS pointer, not the file itself',
    ],
    ['<!DOCTYPE html>\n<html></html>', 'a web page'],
    ['\ufeff<html lang="en">', 'a web page'],
    ['PK\u0003\u0004................', 'a ZIP archive'],
    ['GGUF................', 'a GGUF file'],
    ['', 'empty'],
  ])('say what a file is that begins %j', async (text, what) => {
    const onDisk = path.join(directory, 'mistaken.safetensors');
    fs.writeFileSync(onDisk, text);
    expect(() => parseSafetensors(Buffer.from(text))).toThrow(`the file is ${what}`);
    await expect(readSafetensorsHeader(onDisk)).rejects.toThrow(`the file is ${what}`);
  });

  it('take no header for a pickle whose length begins as one does', () => {
    const tensors = `{"a":${tensor('F32', '[1]', 4, 8)}}`;
    const gap = file(tensors.padEnd(0x280), eight);
    expect([...gap.subarray(0, 2)]).toEqual([0x80, 2]);
    expect(() => parseSafetensors(gap)).toThrow(
      expect.objectContaining({ code: 'gap', message: expect.not.stringContaining('pickle') }),
    );
  });

  it('has a case for every code', () => {
    expect(new Set(refusedFiles.map(([code]) => code))).toEqual(new Set(SAFETENSORS_ERROR_CODES));
  });
});

describe('acceptance', () => {
  it('reads what it wrote, from memory and from a file', async () => {
    const a = Float32Array.of(1, -2, 3.5, 0, 5, 6);
    const bytes = encodeSafetensors({
      'layer.a': { shape: [2, 3], data: a },
      b: { shape: [], data: Float32Array.of(7) },
    });
    const header = parseSafetensors(bytes);
    const begin = bytes.length - 28;
    expect(begin % 8).toBe(0);
    expect(header.tensors).toEqual(
      new Map([
        ['layer.a', { dtype: 'F32', shape: [2, 3], begin, end: begin + 24 }],
        ['b', { dtype: 'F32', shape: [], begin: begin + 24, end: begin + 28 }],
      ]),
    );
    expect(header.metadata).toEqual(new Map([['format', 'pt']]));
    const onDisk = path.join(directory, 'good.safetensors');
    fs.writeFileSync(onDisk, bytes);
    expect(await readSafetensorsHeader(onDisk)).toEqual(header);
  });

  it('takes metadata that is null for none, as the official reader does', () => {
    expect(parseSafetensors(file('{"__metadata__":null}')).metadata).toEqual(new Map());
  });

  it('reads a file that lies anywhere in a larger buffer', () => {
    const bytes = encodeSafetensors({ a: { shape: [1], data: Float32Array.of(1) } });
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(parseSafetensors(shifted.subarray(3))).toEqual(parseSafetensors(bytes));
  });

  it('lists tensors of other types apart', () => {
    const header = parseSafetensors(
      file(`{"mask":${tensor('BOOL', '[4]', 0, 4)},"a":${tensor('BF16', '[2]', 4, 8)}}`, eight),
    );
    expect(header.others).toEqual(new Map([['mask', 'BOOL']]));
    expect([...header.tensors.keys()]).toEqual(['a']);
  });

  it('takes names of Object.prototype for names', () => {
    const header = parseSafetensors(
      file(`{"__proto__":${tensor('F32', '[1]', 0, 4)},"toString":${tensor('F32', '[1]', 4, 8)}}`, eight),
    );
    expect([...header.tensors.keys()]).toEqual(['__proto__', 'toString']);
    expect(({} as Record<string, unknown>)['dtype']).toBeUndefined();
  });

  it('accepts padding, empty tensors, and a header as long as its cap', () => {
    expect(parseSafetensors(file(`{"a":${tensor('F32', '[0,3]', 0, 0)}}  `)).tensors.size).toBe(1);
    const long = file(`{}${' '.repeat(100)}`);
    expect(parseSafetensors(long, { maxHeaderBytes: 102 }).tensors.size).toBe(0);
    expect(refusal(() => parseSafetensors(long, { maxHeaderBytes: 101 }))).toMatchObject({ code: 'header_too_large' });
  });

  it('refuses to write a shape that the data do not have', () => {
    expect(() => encodeSafetensors({ a: { shape: [2, 2], data: new Float32Array(3) } })).toThrow(RangeError);
  });
});
