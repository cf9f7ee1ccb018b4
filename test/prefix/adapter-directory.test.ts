import fs from 'node:fs/promises';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { AdapterDirectoryError, readAdapterDirectory } from '../../src/prefix/adapter/directory.js';
import { temporaryDirectory } from '../server/prefix-library.js';

const CONFIG = 'adapter_config.json';
const MODEL = 'adapter_model.safetensors';

/** A directory with files of these names, each of which contains its name. */
async function directoryWith(...files: string[]): Promise<string> {
  const directory = await temporaryDirectory();
  for (const file of files) {
    const place = path.join(directory, file);
    await fs.mkdir(path.dirname(place), { recursive: true });
    await fs.writeFile(place, file);
  }
  return directory;
}

/** Why the directory is refused. */
async function problem(directory: string): Promise<string> {
  const error: unknown = await readAdapterDirectory(directory).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(AdapterDirectoryError);
  const { message, problem: why } = error as AdapterDirectoryError;
  expect(message).toBe(`${directory}: ${why}`);
  return why;
}

describe('the directory of an adapter', () => {
  it('is read, whatever else is in it', async () => {
    const directory = await directoryWith(CONFIG, MODEL, 'README.md', 'adapter_model.bin', `checkpoint-5/${CONFIG}`);
    const { config, model } = await readAdapterDirectory(directory);
    expect([config, model].map(String)).toEqual([CONFIG, MODEL]);
  });

  it('with a pickle alone is refused with the three lines that convert it', async () => {
    const directory = await directoryWith(CONFIG, 'adapter_model.bin');
    const lines = (await problem(`${directory}/`)).split('\n  ');
    expect(lines).toEqual([
      expect.stringContaining('adapter_model.bin is a pickle'),
      'import torch, safetensors.torch',
      `tensors = torch.load("${directory}/adapter_model.bin", map_location="cpu", weights_only=True)`,
      `safetensors.torch.save_file(tensors, "${directory}/${MODEL}")`,
    ]);
  });

  it('above a named adapter is refused with the name', async () => {
    const directory = await directoryWith('README.md', `alice/${CONFIG}`, `alice/${MODEL}`, 'logs/events');
    const missing = `no ${CONFIG} and no ${MODEL} in it`;
    expect(await problem(directory)).toBe(`${missing}; did you mean ${path.join(directory, 'alice')}?`);
  });

  it("that Transformers' Trainer wrote is refused with its checkpoints, the last step first", async () => {
    const steps = [5, 10, 9, 100, 20];
    const directory = await directoryWith(...steps.map((step) => `checkpoint-${step}/${CONFIG}`));
    const [last, ...others] = [100, 20, 10].map((step) => path.join(directory, `checkpoint-${step}`));
    expect(await problem(directory)).toContain(`did you mean ${[last, ...others].join(', ')}, or one of 2 others?`);
  });

  it.each([
    [[MODEL], `no ${CONFIG} in it; give the directory that PEFT's save_pretrained or preamble tune wrote`],
    [[CONFIG], `no ${MODEL} in it; give the directory that PEFT's save_pretrained or preamble tune wrote`],
    [[], `no ${CONFIG} and no ${MODEL} in it; give the directory that PEFT's save_pretrained or preamble tune wrote`],
  ])('with %s is refused with what is missing', async (files, expected) => {
    expect(await problem(await directoryWith(...files))).toBe(expected);
  });

  it('is not one of its files, and must be there', async () => {
    const directory = await directoryWith(MODEL);
    expect(await problem(path.join(directory, MODEL))).toBe(`a file; give the directory that it is in, ${directory}`);
    expect(await problem(path.join(directory, 'no'))).toBe('no such directory');
  });
});
