import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Model } from '../../src/model/model.js';
import { type Adapter, readAdapter } from '../../src/prefix/adapter/read.js';
import { rowWidth, selfKv, selfSite } from '../../src/prefix/kv.js';
import type { Batch } from '../../src/tuning/training/batch-inputs.js';
import { makeBatch } from '../../src/tuning/training/batch.js';
import { DivergedError } from '../../src/tuning/errors.js';
import type { TokenExample } from '../../src/tuning/data/example.js';
import { initialValues } from '../../src/tuning/start/initial-values.js';
import type { Method, TunedShape } from '../../src/tuning/method.js';
import { RandomStream } from '../../src/tuning/start/random-stream.js';
import type { ProgressLine } from '../../src/tuning/progress/progress-meter.js';
import { readInit } from '../../src/tuning/start/start-rows.js';
import type { SiteRows, TrainingModel } from '../../src/tuning/training/training-model.js';
import type { TuneSettings } from '../../src/tuning/settings.js';
import { tune } from '../../src/tuning/tune.js';
import { golden } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';
import { EXAMPLES, job, openTrainingModel } from './models.js';

const { directory } = golden('tiny-a');
const EXAMPLE = { source: [12, 40, 7, 9], target: [20, 21, 22, 0] };
let model: TrainingModel;
let served: Model;
let root: string;
let runs = 0;

beforeAll(async () => {
  model = await openTrainingModel(directory);
  served = await openTestModel(directory, { slots: 2 });
  root = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-tune-test-'));
});
afterAll(async () => {
  await served.dispose();
  await model.dispose();
  await fs.rm(root, { recursive: true });
});

const newDirectory = (): string => path.join(root, `${runs++}`);
const files = async (out: string): Promise<Buffer[]> =>
  Promise.all(['adapter_config.json', 'adapter_model.safetensors'].map((name) => fs.readFile(path.join(out, name))));
const hash = async (out: string): Promise<string> =>
  (await files(out)).reduce((sum, file) => sum.update(file), createHash('sha256')).digest('hex');

async function curveOf(out: string): Promise<{ readonly lr: number }[]> {
  const lines = (await fs.readFile(path.join(out, 'curve.jsonl'), 'utf8')).trimEnd().split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as { lr: number });
}

async function adapterIn(out: string): Promise<Adapter> {
  const [config, weights] = (await files(out)) as [Buffer, Buffer];
  return readAdapter({ config, model: weights }, served.base);
}

/** Losses of the target's tokens as the server computes them: with an adapter's rows in the slot, or none. */
async function servedLosses(example: typeof EXAMPLE, adapter?: Adapter): Promise<number[]> {
  const { runner, encoder } = served;
  const ids = [...example.source, ...example.target.slice(0, -1)];
  const before = adapter?.placement === 'infix' ? example.source.length - 1 : 0;
  if (before > 0) {
    const tokens = ids.slice(0, before);
    await runner.step({ rows: [{ slot: 0, tokens, past: 0, logits: 'none', temperature: 1 }], topK: 1 });
  }
  let past = before;
  if (adapter !== undefined) {
    const { kind, rows, length } = adapter;
    const kv = kind === 'soft_prompt' ? await encoder.encodeEmbeddings(rows, length) : selfKv(length, rows);
    await runner.append(0, before, kv);
    past += length;
  }
  const tokens = ids.slice(before);
  const chunk = { slot: 0, tokens, past, logits: 'all', temperature: 1 } as const;
  const output = await runner.step({ rows: [chunk], topK: 1 });
  const first = example.source.length - 1 - before;
  return example.target.map((id, t) => output.lse[first + t]! - output.logits(first + t)[id]!);
}

/** Losses of the training graph from given or random rows. */
async function trainingLosses(shape: TunedShape, rows?: SiteRows, example = EXAMPLE) {
  const frozen = model.options.manifest.shape;
  const { tokenEmbeddings } = model;
  const values = initialValues({ frozen, shape, rows, tokenEmbeddings, random: new RandomStream(1, 0) });
  const graph = await model.openLoss(shape, false);
  try {
    const { losses } = await graph.run(values, makeBatch([example], frozen, shape));
    return { losses: [...losses], values };
  } finally {
    await graph.dispose();
  }
}

function expectClose(found: readonly number[], expected: readonly number[], tolerance = 2e-4): void {
  expect(found).toHaveLength(expected.length);
  found.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(tolerance));
}

describe('a prefix', () => {
  it.each([0, 16])('of a real text gives what the text gives; MLP %s (A3, A9)', async (mlp) => {
    const text = [33, 4, 75];
    const shape = { method: 'prefix', length: text.length, mlp } as const;
    const { losses } = await trainingLosses(shape, await model.activations(text));
    expectClose(losses, await servedLosses({ ...EXAMPLE, source: [...text, ...EXAMPLE.source] }));
  });

  it.each(['a prefix', 'an infix', 'an embedding'])(
    'exported as %s gives in serving what it gave in training (A6)',
    async (kind) => {
      const method = kind.split(' ')[1] as Method;
      const out = newDirectory();
      const settings = job(model, out, { method, maxSteps: 0 }).settings;
      await tune(job(model, out, { method, maxSteps: 0 }));
      const shape = { method, length: 5, mlp: settings.mlp };
      const { losses } = await trainingLosses(shape);
      const adapter = await adapterIn(out);
      expectClose(losses, await servedLosses(EXAMPLE, adapter));
      expect(adapter.placement).toBe(method === 'infix' ? 'infix' : 'prefix');
      const frozen = model.options.manifest.shape;
      expect(adapter.rows).toHaveLength(5 * (method === 'embedding' ? frozen.width : rowWidth(selfSite(frozen))));
    },
  );

  it('goes on from an adapter exactly where it stood', async () => {
    const [first, second] = [newDirectory(), newDirectory()];
    await tune(job(model, first));
    const goOn = (settings: Partial<TuneSettings>) =>
      tune({ ...job(model, second, { length: undefined, ...settings }), adapter: first });
    await goOn({ maxSteps: 0 });
    const [before, after] = [await adapterIn(first), await adapterIn(second)];
    expectClose([...after.rows], [...before.rows], 1e-5);
    await expect(goOn({ method: 'infix' })).rejects.toThrow('was trained with method prefix, not infix');
  });

  it('is not written over while another goes on from it', async () => {
    const [out, link] = [newDirectory(), newDirectory()];
    await tune(job(model, out));
    await fs.symlink(out, link);
    const before = await hash(out);
    await expect(tune({ ...job(model, out), adapter: link })).rejects.toThrow(
      `out: ${out} is the adapter that training goes on from; choose another directory`,
    );
    expect(await hash(out)).toBe(before);
  });

  it('starts from words where no directory can have their name', async () => {
    const words = 'word '.repeat(60);
    expect(await readInit(words)).toEqual({ init: words });
    expect(await readInit(root)).toEqual({ init: 'random', adapter: root });
  });
});

describe('the loss', () => {
  const shape = { method: 'prefix', length: 5, mlp: 0 } as const;

  const long = { source: [1, 2, 3, 4, 5, 6], target: [7, 8, 9, 10, 0] };
  const batchOf = (...examples: TokenExample[]): Batch => makeBatch(examples, model.options.manifest.shape, shape);

  it('is that of the target and the end token only, whatever stands in the padding (A7)', async () => {
    const batch = batchOf(EXAMPLE, long);
    expect(batch.learned).toBe(4 + 5);
    expect([...batch.inputs['targets']!.data.subarray(0, batch.learned)]).toEqual([...EXAMPLE.target, ...long.target]);
    const { values, losses } = await trainingLosses(shape);
    const graph = await model.openLoss(shape, true);
    try {
      const plain = await graph.run(values, batch);
      const noisy = await graph.run(values, withNoise(batch));
      expect(noisy.losses).toEqual(plain.losses);
      expect(noisy.gradients).toEqual(plain.gradients);
      expectClose([...plain.losses.subarray(0, 4)], losses, 1e-5);
    } finally {
      await graph.dispose();
    }
  });

  it('has the gradients of its examples alone, one with another', async () => {
    const { values } = await trainingLosses(shape);
    const graph = await model.openLoss(shape, true);
    const gradient = async (...examples: TokenExample[]): Promise<number[]> => [
      ...(await graph.run(values, batchOf(...examples))).gradients.get('rows')!,
    ];
    try {
      const [first, second] = [await gradient(EXAMPLE), await gradient(long)];
      const mean = first.map((value, i) => (value + second[i]!) / 2);
      expectClose(await gradient(EXAMPLE, long), mean, 1e-5);
    } finally {
      await graph.dispose();
    }
  });
});

/** The batch with the last token's queries, keys and values in the padding instead of the first one's. */
function withNoise(batch: Batch): Batch {
  const [pad, unpadBack] = [batch.inputs['pad']!, batch.inputs['unpad_back']!];
  const nobody = Math.max(...unpadBack.data);
  const [parts, width] = pad.shape.slice(-2) as [number, number];
  const data = Int32Array.from(pad.data, (piece, place) => {
    const group = Math.floor(place / (parts * width)); // a row and a head
    return unpadBack.data[group * width + (place % width)] === nobody ? pad.data.at(-1)! : piece;
  });
  expect(data).not.toEqual(pad.data);
  return { ...batch, inputs: { ...batch.inputs, pad: { ...pad, data } } };
}

describe('training', () => {
  it.each(['prefix', 'infix', 'embedding'] as const)('lowers the loss: %s', async (method) => {
    const valid = EXAMPLES.slice(0, 4);
    const before = await tune({ ...job(model, newDirectory(), { method, maxSteps: 1, learningRate: 1e-9 }), valid });
    const after = await tune({ ...job(model, newDirectory(), { method, learningRate: 0.02 }), valid });
    expect(after.valid_loss).toBeLessThan(before.valid_loss! - 0.1);
  });

  it('gives the same bytes for the same seed and others for another', async () => {
    const [a, b, c] = [newDirectory(), newDirectory(), newDirectory()];
    await tune(job(model, a));
    await tune(job(model, b));
    await tune(job(model, c, { seed: 2 }));
    expect(await hash(b)).toBe(await hash(a));
    expect(await hash(c)).not.toBe(await hash(a));
  });

  it("leaves another user's prefix and its own result alone, whoever trained before (A17, A18)", async () => {
    const [alone, other, after] = [newDirectory(), newDirectory(), newDirectory()];
    await tune(job(model, alone));
    const before = await hash(alone);
    await tune({ ...job(model, other), train: EXAMPLES.slice(3).map((e) => ({ ...e, targets: [[99, 98]] })) });
    await tune(job(model, after));
    expect(await hash(alone)).toBe(before);
    expect(await hash(after)).toBe(before);
    expect(await hash(other)).not.toBe(before);
  });

  it('leaves the base model as it was (A1)', async () => {
    const weights = path.join(model.options.directory, 'weights.bin');
    const digest = async () =>
      createHash('sha256')
        .update(await fs.readFile(weights))
        .digest('hex');
    const before = await digest();
    await tune(job(model, newDirectory()));
    expect(await digest()).toBe(before);
  });

  it('stops where it is told to and goes on to the same result', async () => {
    const [whole, cut] = [newDirectory(), newDirectory()];
    const valid = EXAMPLES.slice(0, 3);
    await tune({ ...job(model, whole), valid });
    const interrupt = new AbortController();
    const stopped = await tune({
      ...job(model, cut),
      valid,
      signal: interrupt.signal,
      onProgress: ({ point }) => {
        if (point.step === 7) interrupt.abort();
      },
    });
    expect(stopped).toMatchObject({ stop: 'interrupted', steps: 7, best_step: 4 });
    expect((await adapterIn(cut)).length).toBe(5);
    await expect(tune({ ...job(model, cut, { seed: 9 }), valid })).rejects.toThrow('other settings, data or model');
    expect(await tune({ ...job(model, cut), valid })).toMatchObject({ stop: 'finished', resumed_from: 7, steps: 12 });
    expect(await hash(cut)).toBe(await hash(whole));
    expect(await curveOf(cut)).toEqual(await curveOf(whole));
    expect((await fs.readdir(cut)).sort()).toEqual((await fs.readdir(whole)).sort());
  });

  it.each([2, 15, 0])('takes as many steps as it is told, whatever the number of epochs: %s', async (maxSteps) => {
    const out = newDirectory();
    const learningRate = 0.01;
    const result = await tune(job(model, out, { epochs: 1, maxSteps, learningRate })); // an epoch has 3 steps
    expect(result).toMatchObject({ stop: 'finished', steps: maxSteps });
    const rates = (await curveOf(out)).map(({ lr }) => lr);
    const expected = Array.from({ length: maxSteps }, (_, step) => (learningRate * (maxSteps - step)) / maxSteps);
    expectClose(rates, expected, 1e-12);
    const twin = newDirectory();
    await tune(job(model, twin, { epochs: 99, maxSteps, learningRate }));
    expect(await hash(twin)).toBe(await hash(out));
  });

  it('goes on to the same result beyond the last of its epochs', async () => {
    const [whole, cut] = [newDirectory(), newDirectory()];
    const settings = { epochs: 1, maxSteps: 10 };
    await tune(job(model, whole, settings));
    const interrupt = new AbortController();
    const onProgress = ({ point }: ProgressLine): void => {
      if (point.step === 5) interrupt.abort();
    };
    await tune({ ...job(model, cut, settings), signal: interrupt.signal, onProgress });
    expect(await tune(job(model, cut, settings))).toMatchObject({ stop: 'finished', resumed_from: 5, steps: 10 });
    expect(await hash(cut)).toBe(await hash(whole));
  });

  it('ends with the best so far when its time is over, that of earlier processes included', async () => {
    const out = newDirectory();
    const run = { ...job(model, out, { evaluateEvery: 2 }), valid: EXAMPLES.slice(0, 3) };
    const interrupt = new AbortController();
    await tune({
      ...run,
      signal: interrupt.signal,
      onProgress: ({ point }) => {
        if (point.step < 3) return;
        for (const begun = performance.now(); performance.now() - begun < 100;);
        interrupt.abort();
      },
    });
    const best = await hash(out);
    const ended = await tune({ ...run, maxSeconds: 0.1 });
    expect(ended).toMatchObject({ stop: 'time_limit', resumed_from: 3, steps: 3, best_step: 2 });
    expect(await hash(out)).toBe(best);
    expect((await fs.readdir(out)).filter((name) => name.includes('checkpoint'))).toEqual([]);
  });

  it('keeps the best prefix and ends early when validation gets no better', async () => {
    const out = newDirectory();
    const settings = { epochs: 40, learningRate: 0.1, evaluateEvery: 2, patience: 2 };
    const valid = [{ source: [3, 5], targets: [[150, 151, 152, 153, 154]] }];
    const result = await tune({ ...job(model, out, settings), valid });
    expect(result.stop).toBe('early_stopping');
    expect(result.steps).toBe(result.best_step! + 4);
    const [target] = valid[0]!.targets;
    const losses = await servedLosses({ source: [3, 5], target: [...target!, 0] }, await adapterIn(out));
    expect(Math.abs(losses.reduce((a, b) => a + b) / losses.length - result.valid_loss!)).toBeLessThan(1e-3);
  });

  it('writes no prefix whose values are no numbers', async () => {
    const out = newDirectory();
    await expect(tune(job(model, out, { learningRate: 1e300, maxSteps: 1 }))).rejects.toThrow(DivergedError);
    expect(await fs.readdir(out)).not.toContain('adapter_model.safetensors');
  });

  it('refuses more virtual tokens than are accepted, before it trains', async () => {
    const out = newDirectory();
    const limited = (settings: Partial<TuneSettings>) => tune({ ...job(model, out, settings), maxLength: 8 });
    await expect(limited({ length: 9 })).rejects.toThrow('length: 9 virtual tokens; at most 8 are accepted');
    await expect(limited({ length: undefined, init: 'nine lett' })).rejects.toThrow('length: 9 virtual tokens');
    await expect(fs.readdir(out)).rejects.toThrow('ENOENT');
    expect(await limited({ length: 8, maxSteps: 0 })).toMatchObject({ num_virtual_tokens: 8 });
  });

  it('names the example that it cannot use', async () => {
    const with_ = (source: number[]) => tune({ ...job(model, newDirectory()), train: [{ source, targets: [[1]] }] });
    await expect(with_([])).rejects.toMatchObject({
      subject: 'train',
      message: 'example 1: the prompt has no token',
    });
    await expect(with_([100_000])).rejects.toThrow('example 1: token id 100000 is not in the vocabulary');
    await expect(with_(Array(5000).fill(1))).rejects.toThrow(/example 1: 5006 tokens with the 5 virtual ones/);
    await expect(tune({ ...job(model, newDirectory()), train: [] })).rejects.toThrow('train: no examples');
    await expect(
      tune(job(model, newDirectory(), { init: 'seventeen letters', mlp: 4, length: undefined })),
    ).rejects.toThrow('mlp: 4 is less than the 17 virtual tokens');
  });
});
