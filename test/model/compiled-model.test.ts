import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { bundledModel } from '../../src/config/paths.js';
import { compileModel, findCompiled, type Manifest, readManifest } from '../../src/model/compile/compiled-model.js';
import { openModel } from '../../src/model/model.js';
import { CheckpointCopy } from '../support/checkpoint-copy.js';
import { type FloatTensor, golden, goldenNames } from '../support/goldens.js';

const tinyA = golden('tiny-a').directory;
let directory: string;
let cache: string;

beforeEach(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-compile-'));
  cache = path.join(directory, 'cache');
});
afterEach(() => fs.rm(directory, { recursive: true }));

/** A copy of tiny-a to change. */
function copyOfTinyA(name = 'copy'): Promise<CheckpointCopy> {
  return CheckpointCopy.of(tinyA, path.join(directory, name));
}

async function hashes(folder: string): Promise<Record<string, string>> {
  const entries = (await fs.readdir(folder)).sort().map(async (file) => {
    const content = await fs.readFile(path.join(folder, file));
    return [file, createHash('sha256').update(content).digest('hex')] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function fingerprint(source: string): Promise<string | undefined> {
  return (await readManifest(await compileModel({ source, cache })))?.fingerprint;
}

describe('compileModel', () => {
  it.each(goldenNames())('compiles %s once, shows progress, and leaves the checkpoint as it is', async (name) => {
    const source = golden(name).directory;
    const before = await hashes(source);
    const progress: number[] = [];
    const first = await compileModel({ source, cache, onProgress: (written, total) => progress.push(written / total) });
    expect(progress.at(-1)).toBeGreaterThan(0.99);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    const second = await compileModel({ source, cache, onProgress: () => expect.unreachable('compiled twice') });
    expect(second).toBe(first);
    expect(await compileModel({ source: first, cache })).toBe(first); // what is compiled is a source too
    expect(await fs.readdir(cache)).toEqual([path.basename(first)]);
    expect(await hashes(source)).toEqual(before);
  });

  it('gives the same fingerprint to the same model in other files, and another one to another model', async () => {
    const original = await fingerprint(tinyA);
    const prefixed = await copyOfTinyA('renamed');
    await prefixed.changeTensors((tensors) => {
      for (const [name, tensor] of Object.entries(tensors)) {
        delete tensors[name];
        tensors[name.replace('transformer.', '')] = tensor;
      }
    });
    expect(await fingerprint(prefixed.directory)).toBe(original);
    const changed = await copyOfTinyA('changed');
    await changed.changeTensors((tensors) => {
      const data = tensors['transformer.wte.weight']?.data as Float32Array;
      data[5] = (data[5] as number) + 1e-3;
    });
    expect(await fingerprint(changed.directory)).not.toBe(original);
    const scaled = await copyOfTinyA('scaled');
    await scaled.changeConfig({ scale_attn_by_inverse_layer_idx: true });
    expect(await fingerprint(scaled.directory)).not.toBe(original);
  });

  it.each([
    ['the bundled model', bundledModel, 'f06365e67bd50625165241fb6de9c85e05350516b1f0a96ecc4cf95d951cc6ea'],
    [
      'the bundled model with an encoder',
      path.join(path.dirname(bundledModel), 'preamble-brief'),
      '9d47809dae6cdfef1d1b9f2e64a143e5545e661c05b7b037f8dc447242f1920e',
    ],
    ['tiny-a', tinyA, '17852222237593408bfd1d4718271b204888db846b002c5fbe1ff405829820e2'],
  ])('keeps the fingerprint that stored prefixes of %s are found by', async (_what, source, known) => {
    expect(await fingerprint(source)).toBe(known);
  });

  it('compiles again when a file of the checkpoint has changed', async () => {
    const source = await copyOfTinyA();
    const first = await compileModel({ source: source.directory, cache });
    await source.changeConfig({ layer_norm_epsilon: 1e-6 });
    expect(await compileModel({ source: source.directory, cache })).not.toBe(first);
  });

  /** What a version of before made of tiny-a: the same files, but for the manifest. */
  async function compiledBefore(): Promise<string> {
    const old = path.join(cache, 'tiny-a-0123456789abcdef');
    await fs.rename(await compileModel({ source: tinyA, cache }), old);
    const file = path.join(old, 'model.json');
    const { architecture: _, shape: _shape, eosTokenIds: _ids, ...manifest } = (await readManifest(old)) as Manifest;
    await fs.writeFile(file, JSON.stringify({ ...manifest, format: 'preamble-model-3' }));
    return old;
  }

  it('compiles anew beside what a version of before left in the cache', async () => {
    const old = await compiledBefore();
    for (const weights of ['float32', 'int8'] as const) {
      const directory = await compileModel({ source: tinyA, cache, weights });
      expect(directory).not.toBe(old);
      expect(await readManifest(directory)).toMatchObject({ architecture: 'gpt2', precision: weights });
    }
  });

  it('compiles anew over what another version left under the same name', async () => {
    const directory = await compileModel({ source: tinyA, cache });
    await fs.writeFile(path.join(directory, 'model.json'), JSON.stringify({ format: 'preamble-model-2' }));
    expect(await findCompiled({ source: tinyA, cache })).toBeUndefined();
    expect(await compileModel({ source: tinyA, cache })).toBe(directory);
    expect(await readManifest(directory)).toMatchObject({ architecture: 'gpt2' });
  });

  it('goes on with a model that the version before compiled where it is the source itself', async () => {
    const source = await compiledBefore();
    expect(await compileModel({ source, cache })).toBe(source);
    const manifest = await readManifest(await compileModel({ source: tinyA, cache }));
    expect(await readManifest(source)).toEqual(manifest);
    const derived = await compileModel({ source, cache, weights: 'int8' });
    expect(await readManifest(derived)).toMatchObject({ architecture: 'gpt2', precision: 'int8' });
  });

  it('keeps a model for each form of int8, and knows each again', async () => {
    const forms = ['blocks', 'unsigned', 'signed'] as const;
    const directories = [];
    for (const int8 of forms) directories.push(await compileModel({ source: tinyA, cache, weights: 'int8', int8 }));
    expect(new Set(directories).size).toBe(3);
    for (const [i, int8] of forms.entries()) {
      const source = directories[i] as string;
      expect(await findCompiled({ source: tinyA, cache, weights: 'int8', int8 })).toBe(source);
      expect(await compileModel({ source, cache, weights: 'int8', int8 })).toBe(source);
    }
  });

  it('refuses signed int8 weights as a source where the processor adds them up wrongly, and takes the others', async () => {
    const [signed, unsigned] = [
      await compileModel({ source: tinyA, cache, weights: 'int8', int8: 'signed' }),
      await compileModel({ source: tinyA, cache, weights: 'int8', int8: 'unsigned' }),
    ];
    await expect(compileModel({ source: signed, cache, weights: 'int8', int8: 'unsigned' })).rejects.toMatchObject({
      subject: 'weights',
      message: `${signed} is compiled with signed int8 weights, for x64 processors with VNNI; this one has none`,
    });
    expect(await compileModel({ source: unsigned, cache, weights: 'int8', int8: 'signed' })).toBe(unsigned);
  });

  it('refuses a model of another format where it is the source itself', async () => {
    const source = await compiledBefore();
    await fs.writeFile(path.join(source, 'model.json'), JSON.stringify({ format: 'preamble-model-2' }));
    await expect(compileModel({ source, cache })).rejects.toThrow(
      `${source}: compiled as preamble-model-2, this version needs preamble-model-5; compile it again`,
    );
  });

  it('refuses another architecture by name, and tells those that it knows', async () => {
    const source = await copyOfTinyA();
    for (const [name, shown] of [
      ['mbart', '"mbart"'],
      [{}, '{}'],
    ] as const) {
      await source.changeConfig({ model_type: name });
      await expect(compileModel({ source: source.directory, cache })).rejects.toMatchObject({
        name: 'CheckpointError',
        message: `config.json: model_type is ${shown}: the families that can be served are gpt2 (a GPT-2 with a language-model head), bart (a BART with a language-model head), llama, mistral, qwen2, qwen3 (a model of the Llama family with a language-model head)`,
      });
    }
    await source.changeConfig({ model_type: undefined, architectures: ['LlamaForCausalLM'] });
    await expect(compileModel({ source: source.directory, cache })).rejects.toThrow(
      'config.json: model_type is missing, and architectures is "LlamaForCausalLM": the families',
    );
    await source.changeConfig({ architectures: undefined });
    expect(await readManifest(await compileModel({ source: source.directory, cache }))).toMatchObject({
      architecture: 'gpt2',
    });
  });

  it.each([
    [
      'a missing weight',
      (t: Record<string, FloatTensor>) => void delete t['transformer.h.1.mlp.c_fc.bias'],
      'h.1.mlp.c_fc.bias is missing',
    ],
    [
      'an unknown weight',
      (t: Record<string, FloatTensor>) => void (t['score.weight'] = { shape: [1], data: new Float32Array(1) }),
      'score.weight is not one of',
    ],
    [
      'a wrong shape',
      (t: Record<string, FloatTensor>) => void (t['transformer.ln_f.bias'] = { shape: [3], data: new Float32Array(3) }),
      'ln_f.bias is [3], config.json says [64]',
    ],
    [
      'a value that is not finite',
      (t: Record<string, FloatTensor>) => void t['transformer.ln_f.bias']?.data.fill(NaN, 3, 4),
      'ln_f.bias holds a value that is not finite',
    ],
  ])('refuses %s, and leaves nothing behind', async (_what, change, message) => {
    const source = await copyOfTinyA();
    await source.changeTensors(change);
    await expect(compileModel({ source: source.directory, cache })).rejects.toThrow(message);
    expect(await fs.readdir(cache).catch(() => [])).toEqual([]);
  });

  it.each([
    ['config.json', 'config.json is missing'],
    ['model.safetensors', 'model.safetensors is missing'],
  ])('names a missing %s', async (file, message) => {
    const source = await copyOfTinyA();
    await fs.rm(source.file(file));
    await expect(compileModel({ source: source.directory, cache })).rejects.toThrow(message);
  });

  it('refuses an index that names a file elsewhere', async () => {
    const source = await copyOfTinyA();
    await fs.rename(source.file('model.safetensors'), path.join(directory, 'outside.safetensors'));
    const index = { weight_map: { 'transformer.wte.weight': '../outside.safetensors' } };
    await fs.writeFile(source.file('model.safetensors.index.json'), JSON.stringify(index));
    await expect(compileModel({ source: source.directory, cache })).rejects.toThrow(
      '"../outside.safetensors" is not a file of the checkpoint',
    );
  });

  it('two at the same time end in one result', async () => {
    const [a, b] = await Promise.all([compileModel({ source: tinyA, cache }), compileModel({ source: tinyA, cache })]);
    expect(a).toBe(b);
    expect(await fs.readdir(cache)).toEqual([path.basename(a)]);
  });

  it.each(['float32', 'int8'] as const)(
    'killed at any moment, it leaves all of the %s model or none',
    async (weights) => {
      const script = fileURLToPath(new URL('../support/compile-forever.mjs', import.meta.url));
      for (let round = 0; round < 4; round++) {
        const child = spawn(process.execPath, [script, tinyA, cache, weights], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        await once(child.stdout, 'data'); // it has begun
        await delay(round * 15);
        child.kill('SIGKILL');
        await once(child, 'exit');
        for (const entry of await fs.readdir(cache).catch(() => [])) {
          if (entry.startsWith('.draft-')) continue;
          const manifest = await readManifest(path.join(cache, entry));
          expect((await fs.stat(path.join(cache, entry, 'weights.bin'))).size).toBe(manifest?.weightBytes);
        }
      }
      const model = await openModel({ source: tinyA, cache, slots: 1, threads: 1, weights });
      const span = { slot: 0, tokens: [1], past: 0, logits: 'last', temperature: 1 } as const;
      expect((await model.runner.step({ rows: [span], topK: 1 })).rows).toBe(1);
      await model.dispose();
      expect((await fs.readdir(cache)).filter((entry) => entry.startsWith('.draft-'))).toEqual([]);
    },
  );
});

describe('openModel', () => {
  it('honours an untied head, other activations and attention scales', async () => {
    const source = await copyOfTinyA();
    await source.changeConfig({ tie_word_embeddings: false, activation_function: 'relu', scale_attn_weights: false });
    await source.changeTensors((tensors) => {
      const wte = tensors['transformer.wte.weight'] as FloatTensor;
      tensors['lm_head.weight'] = { shape: wte.shape, data: wte.data.map((value) => -value) };
    });
    const model = await openModel({ source: source.directory, cache, slots: 1, threads: 1 });
    const output = await model.runner.step({
      rows: [{ slot: 0, tokens: [1], past: 0, logits: 'last', temperature: 1 }],
      topK: 400,
    });
    const untied = output.logits(0).slice();
    await model.dispose();
    await source.changeTensors((tensors) => void delete tensors['lm_head.weight']);
    await expect(openModel({ source: source.directory, cache, slots: 1, threads: 1 })).rejects.toThrow(
      'lm_head.weight is missing',
    );
    await source.changeConfig({ tie_word_embeddings: true });
    const tied = await openModel({ source: source.directory, cache, slots: 1, threads: 1 });
    const again = await tied.runner.step({
      rows: [{ slot: 0, tokens: [1], past: 0, logits: 'last', temperature: 1 }],
      topK: 1,
    });
    again.logits(0).forEach((logit, id) => {
      expect(logit).toBeCloseTo(-(untied[id] as number), 4);
    });
    await tied.dispose();
  });

  it('serves a head that differs from the embeddings although they are said to be tied, in every precision', async () => {
    const logitsOf = async (source: string, weights: 'float32' | 'float16' | 'int8'): Promise<Float32Array> => {
      const model = await openModel({ source, cache, slots: 1, threads: 1, weights });
      const rows = [{ slot: 0, tokens: [1, 5], past: 0, logits: 'last', temperature: 1 }] as const;
      const logits = (await model.runner.step({ rows, topK: 1 })).logits(0).slice();
      expect(model.warnings).toHaveLength(source === tinyA ? 0 : 1);
      await model.dispose();
      return logits;
    };
    const source = await copyOfTinyA();
    await source.changeTensors((tensors) => {
      const wte = tensors['transformer.wte.weight'] as FloatTensor;
      tensors['lm_head.weight'] = { shape: wte.shape, data: wte.data.map((value) => -value) };
    });
    for (const weights of ['float32', 'float16', 'int8'] as const) {
      const tied = await logitsOf(tinyA, weights);
      const own = await logitsOf(source.directory, weights);
      const error = Math.max(...own.map((logit, id) => Math.abs(logit + (tied[id] as number))));
      expect(error, weights).toBeLessThan(weights === 'int8' ? 0.05 * Math.max(...tied.map(Math.abs)) : 1e-4);
    }
  });

  it('refuses weights that were cut short', async () => {
    const compiled = await compileModel({ source: tinyA, cache });
    await fs.truncate(path.join(compiled, 'weights.bin'), 1000);
    await expect(openModel({ source: compiled, cache, slots: 1, threads: 1 })).rejects.toThrow(
      'weights.bin has 1000 bytes',
    );
  });
});
