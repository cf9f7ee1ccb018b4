import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { StepOutput } from '../../src/engine/runner.js';
import { compileModel, readManifest } from '../../src/model/compile/compiled-model.js';
import { type Model, openModel } from '../../src/model/model.js';
import type { KvPrecision, WeightPrecision } from '../../src/model/precision.js';
import { encodeSafetensors, type FloatTensor } from '../../src/safetensors/index.js';
import { prefixOf } from '../support/golden-prefix.js';
import { golden, goldenNames, type GreedyCase, readTensors } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';

/** How far log-probabilities may be from Transformers' in float32, over all tokens of all cases: on average, and at most. */
interface Bound {
  readonly weights: WeightPrecision;
  readonly kv: KvPrecision;
  readonly mean: number;
  readonly largest: number;
}

/**
 * About half more than was measured. These models are random and their weights are large: rounding tiny-b's to float16 is
 * 0.012 alone, with all arithmetic in float32. On a trained model the changes are far smaller: see docs/decisions/0011.
 */
const BOUNDS: readonly Bound[] = [
  { weights: 'float32', kv: 'float16', mean: 2e-3, largest: 1.3e-2 },
  { weights: 'float16', kv: 'float32', mean: 4e-3, largest: 2.5e-2 },
  { weights: 'float16', kv: 'float16', mean: 4e-3, largest: 3e-2 },
  { weights: 'int8', kv: 'float32', mean: 0.07, largest: 0.6 },
  { weights: 'int8', kv: 'float16', mean: 0.07, largest: 0.6 },
  { weights: 'int4', kv: 'float32', mean: 0.8, largest: 5 },
];

/** By how much more the models of the Llama family change: theirs are larger weights still. */
const LLAMA_FACTOR = 1.75;

/** Where to run: on CUDA when asked, see docs/devices.md. Its attention has float16 only. */
const provider = process.env['TEST_PROVIDER'] === 'cuda' ? 'cuda' : 'cpu';
const bounds = BOUNDS.filter(
  ({ weights, kv }) => provider === 'cpu' || (kv === 'float16' && (weights === 'float32' || weights === 'float16')),
);

describe.each(goldenNames())('%s', (name) => {
  const reference = golden(name);
  const factor = readArchitecture(reference.directory) === 'gpt2' ? 1 : LLAMA_FACTOR;

  describe.each(bounds)('in $weights, keys and values $kv', ({ weights, kv, mean, largest }) => {
    let model: Model;
    beforeAll(async () => {
      model = await openTestModel(reference.directory, { slots: 4, weights, kv, provider });
    });
    afterAll(() => model.dispose());

    it('says of the continuations of Transformers and PEFT about what they say', async () => {
      const differences: number[] = [];
      for (const [index, testCase] of reference.greedy.cases.entries()) {
        const logprobs = await readContinuation(model, await prefixOf(model, reference, testCase), testCase, index % 4);
        logprobs.forEach((logprob, i) => differences.push(Math.abs(logprob - (testCase.logprobs[i] as number))));
      }
      expect(differences.length).toBeGreaterThan(100);
      expect(differences.reduce((sum, difference) => sum + difference) / differences.length).toBeLessThan(
        factor * mean,
      );
      expect(Math.max(...differences)).toBeLessThan(factor * largest);
    });

    it('computes a text prefix that continues as the text itself does', async () => {
      const { prompt } = reference.greedy.cases.find((testCase) => testCase.prompt.length >= 17) as GreedyCase;
      const chunk = { slot: 0, tokens: prompt, past: 0, logits: 'last', temperature: 1 } as const;
      const expected = (await model.runner.step({ rows: [chunk], topK: 1 })).logits(0).slice();
      await model.runner.append(1, 0, await model.encoder.encodeTokens(prompt.slice(0, 9)));
      const rest = { ...chunk, slot: 1, tokens: prompt.slice(9), past: 9 };
      const actual = (await model.runner.step({ rows: [rest], topK: 1 })).logits(0);
      // Keys and values are rounded to float16 on either way; what is rounded to 8 bits may round another way.
      const tolerance = { float32: 1e-3, float16: 2e-2, int8: 0.1, int4: 0.1 }[weights];
      expected.forEach((logit, id) => {
        expect(Math.abs((actual[id] as number) - logit)).toBeLessThan(tolerance);
      });
    });
  });
});

function readArchitecture(directory: string): string {
  const config = JSON.parse(readFileSync(path.join(directory, 'config.json'), 'utf8')) as { model_type: string };
  return config.model_type;
}

/** Log-probabilities of a case's continuation, token by token. */
async function readContinuation(
  { runner }: Model,
  prefix: Awaited<ReturnType<typeof prefixOf>>,
  { prompt, ids }: GreedyCase,
  slot: number,
): Promise<number[]> {
  if (prefix !== undefined) await runner.append(slot, 0, prefix);
  let past = prefix?.length ?? 0;
  const run = async (tokens: readonly number[]): Promise<StepOutput> => {
    const chunk = { slot, tokens, past, logits: 'last', temperature: 1 } as const;
    past += tokens.length;
    return runner.step({ rows: [chunk], topK: 1 });
  };
  const logprobs: number[] = [];
  let output = await run(prompt);
  for (const [index, id] of ids.entries()) {
    logprobs.push((output.logits(0)[id] as number) - (output.lse[0] as number));
    if (index < ids.length - 1) output = await run([id]);
  }
  return logprobs;
}

describe('compileModel in another precision', () => {
  const tinyA = golden('tiny-a').directory;
  let directory: string;
  let cache: string;
  beforeEach(async () => {
    directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-precision-'));
    cache = path.join(directory, 'cache');
  });
  afterEach(() => fs.rm(directory, { recursive: true }));

  it.each(['float16', 'int8', 'int4'] as const)(
    'derives %s once, and leaves the float32 model as it is',
    async (weights) => {
      const base = await compileModel({ source: tinyA, cache });
      const before = await hashes(base);
      const progress: number[] = [];
      const onProgress = (written: number, total: number): unknown => progress.push(written / total);
      const derived = await compileModel({ source: tinyA, cache, weights, onProgress });
      expect(derived).not.toBe(base);
      expect(progress.at(-1)).toBeGreaterThan(0.99);
      expect(progress).toEqual([...progress].sort((a, b) => a - b));
      const again = { cache, weights, onProgress: () => expect.unreachable('derived twice') };
      expect(await compileModel({ ...again, source: tinyA })).toBe(derived);
      expect(await compileModel({ ...again, source: base })).toBe(derived);
      expect(await compileModel({ ...again, source: derived })).toBe(derived); // what is compiled is a source too
      expect((await fs.readdir(cache)).sort()).toEqual([base, derived].map((folder) => path.basename(folder)).sort());
      expect(await hashes(base)).toEqual(before);
    },
  );

  it('keeps the fingerprint: prefixes belong to the model, whatever it is served in', async () => {
    const fingerprints = new Set<string | undefined>();
    for (const weights of ['float32', 'float16', 'int8', 'int4'] as const) {
      fingerprints.add((await readManifest(await compileModel({ source: tinyA, cache, weights })))?.fingerprint);
    }
    expect(fingerprints.size).toBe(1);
  });

  it('needs fewer bytes for fewer bits', async () => {
    const bytes: number[] = [];
    for (const weights of ['float32', 'int8', 'int4'] as const) {
      const folder = await compileModel({ source: tinyA, cache, weights });
      bytes.push((await fs.stat(path.join(folder, 'weights.bin'))).size);
    }
    expect(bytes).toEqual([...bytes].sort((a, b) => b - a));
  });

  it.each(['float32', 'int4'] as const)('makes no %s model of an int8 one', async (weights) => {
    const source = await compileModel({ source: tinyA, cache, weights: 'int8' });
    await expect(compileModel({ source, cache, weights })).rejects.toMatchObject({
      subject: 'weights',
      message: `${source} is compiled with int8 weights, which ${weights} cannot be made from`,
    });
  });

  it('refuses float16 for a weight that does not fit, and leaves nothing behind', async () => {
    const source = await changedCopy((tensors) => {
      (tensors['transformer.h.1.mlp.c_fc.bias'] as FloatTensor).data[3] = 70_000;
    });
    await expect(compileModel({ source, cache, weights: 'float16' })).rejects.toMatchObject({
      subject: 'weights',
      message: 'float16 cannot hold h.1.mlp.c_fc.bias: 70000 does not fit float16',
    });
    expect(await fs.readdir(cache)).toHaveLength(1); // the float32 model
    await compileModel({ source, cache, weights: 'int8' });
  });

  it('quantises a head of its own, not the embeddings in its place', async () => {
    const source = await changedCopy((tensors) => {
      const wte = tensors['transformer.wte.weight'] as FloatTensor;
      tensors['lm_head.weight'] = { shape: wte.shape, data: wte.data.map((value) => -value) };
    });
    await changeConfig(source, { tie_word_embeddings: false });
    const tied = await firstLogits(tinyA);
    const untied = await firstLogits(source);
    tied.forEach((logit, id) => {
      expect(untied[id]).toBeCloseTo(-logit, 4);
    });
  });

  /** Compiled, hidden layers of 1024 are 1056 wide. */
  it.each(['float32', 'float16', 'int8', 'int4'] as const)(
    'says the same in %s of a hidden layer with zeros behind, of a width that compiling adds to',
    async (weights) => {
      const inner = 1024;
      const widened = await changedCopy((tensors) => {
        for (const layer of [0, 1]) {
          const mlp = `transformer.h.${layer}.mlp`;
          for (const [name, extend] of [
            ['c_fc.weight', withColumns],
            ['c_fc.bias', withColumns],
            ['c_proj.weight', withRows],
          ] as const) {
            tensors[`${mlp}.${name}`] = extend(tensors[`${mlp}.${name}`] as FloatTensor, inner);
          }
        }
      });
      await changeConfig(widened, { n_inner: inner });
      const expected = await firstLogits(tinyA, weights);
      (await firstLogits(widened, weights)).forEach((logit, id) => {
        expect(logit).toBeCloseTo(expected[id] as number, 4);
      });
      const manifest = await readManifest(await compileModel({ source: widened, cache }));
      const { shape } = manifest?.weights.find(({ name }) => name === 'h.1.mlp.c_proj.weight') ?? {};
      expect(shape).toEqual([1056, 64]);
      expect(manifest?.config).toMatchObject({ inner });
    },
  );

  async function firstLogits(source: string, weights: WeightPrecision = 'int8'): Promise<Float32Array> {
    const model = await openModel({ source, cache, slots: 1, threads: 1, weights });
    const output = await model.runner.step({
      rows: [{ slot: 0, tokens: [1], past: 0, logits: 'last', temperature: 1 }],
      topK: 1,
    });
    const logits = output.logits(0).slice();
    await model.dispose();
    return logits;
  }

  async function changeConfig(source: string, change: Record<string, unknown>): Promise<void> {
    const file = path.join(source, 'config.json');
    await fs.writeFile(file, JSON.stringify({ ...(JSON.parse(await fs.readFile(file, 'utf8')) as object), ...change }));
  }

  async function changedCopy(change: (tensors: Record<string, FloatTensor>) => void): Promise<string> {
    const source = path.join(directory, 'changed');
    await fs.cp(tinyA, source, { recursive: true });
    const file = path.join(source, 'model.safetensors');
    const tensors = readTensors(file);
    change(tensors);
    await fs.writeFile(file, encodeSafetensors(tensors));
    return source;
  }
});

/** The matrix, or the vector, with columns of zeros at its end. */
function withColumns({ shape, data }: FloatTensor, columns: number): FloatTensor {
  const before = shape.at(-1) as number;
  const rows = data.length / before;
  const wider = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) wider.set(data.subarray(row * before, (row + 1) * before), row * columns);
  return { shape: [...shape.slice(0, -1), columns], data: wider };
}

/** The matrix with rows of zeros at its end. */
function withRows({ shape, data }: FloatTensor, rows: number): FloatTensor {
  const columns = shape[1] as number;
  const taller = new Float32Array(rows * columns);
  taller.set(data);
  return { shape: [rows, columns], data: taller };
}

async function hashes(folder: string): Promise<Record<string, string>> {
  const entries = (await fs.readdir(folder)).sort().map(async (file) => {
    const content = await fs.readFile(path.join(folder, file));
    return [file, createHash('sha256').update(content).digest('hex')] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
