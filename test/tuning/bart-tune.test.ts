import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { baseModel, type Model } from '../../src/model/model.js';
import { readSitesAdapter } from '../../src/prefix/adapter/read-sites.js';
import type { PrefixKv } from '../../src/prefix/kv.js';
import type { TokenExample } from '../../src/tuning/data/example.js';
import { tokenExamples } from '../../src/tuning/data/tokens.js';
import { trainingGraph } from '../../src/tuning/graph/training-graph.js';
import { parameterCount, storedCount, tunedShape, type TunedShape } from '../../src/tuning/method.js';
import type { TuneSettings } from '../../src/tuning/settings.js';
import { directValues, initialValues } from '../../src/tuning/start/initial-values.js';
import { RandomStream } from '../../src/tuning/start/random-stream.js';
import { makeBatch } from '../../src/tuning/training/batch.js';
import type { Batch } from '../../src/tuning/training/batch-inputs.js';
import { runParts, stepParts } from '../../src/tuning/training/step-parts.js';
import type { LossResult, SiteRows, TrainingModel } from '../../src/tuning/training/training-model.js';
import type { Values } from '../../src/tuning/training/values.js';
import { tune } from '../../src/tuning/tune.js';
import { golden } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';
import { job, openTrainingModel } from './models.js';
import { writeTinyBart } from '../support/tiny-bart.js';

const SITES = ['encoder', 'decoder', 'cross'];
const EXAMPLES: readonly TokenExample[] = [
  { source: [0, 12, 40, 7, 9, 2], start: [2], target: [20, 21, 22, 2] },
  { source: [0, 33, 2], start: [2], target: [50, 2] },
  { source: [0, 41, 17, 2], start: [2], target: [9, 8, 7, 6, 5, 2] },
];
const BARE: TunedShape = { method: 'prefix', length: 0, mlp: 0, sites: {} };
let root: string;
let model: TrainingModel;
let runs = 0;

beforeAll(async () => {
  root = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-bart-tune-'));
  await writeTinyBart(path.join(root, 'model'));
  model = await openTrainingModel(path.join(root, 'model'));
});
afterAll(async () => {
  await model.dispose();
  await fs.rm(root, { recursive: true });
});

const frozen = () => model.options.manifest.shape;
const newDirectory = (): string => path.join(root, `${runs++}`);
const filesIn = (out: string): Promise<Buffer[]> =>
  Promise.all(['adapter_config.json', 'adapter_model.safetensors'].map((name) => fs.readFile(path.join(out, name))));
const adapterIn = async (out: string) => {
  const [config, weights] = (await filesIn(out)) as [Buffer, Buffer];
  return readSitesAdapter({ config, model: weights }, baseModel('tiny', model.options.manifest));
};
const hash = async (out: string): Promise<string> =>
  (await filesIn(out)).reduce((sum, file) => sum.update(file), createHash('sha256')).digest('hex');
const bartJob = (out: string, settings: Partial<TuneSettings> = {}) => job(model, out, settings);

async function run(shape: TunedShape, values: Values, examples = EXAMPLES, mean?: 'tokens'): Promise<LossResult> {
  const graph = await model.openLoss(shape, true);
  try {
    return await graph.run(values, makeBatch(examples, frozen(), shape, mean));
  } finally {
    await graph.dispose();
  }
}

/** Loss of each token without gradients, from rows or without any. */
async function losses(shape: TunedShape, rows: SiteRows = new Map(), examples = EXAMPLES): Promise<number[]> {
  const graph = await model.openLoss(shape, false);
  try {
    const batch = makeBatch(examples, frozen(), shape);
    return [...(await graph.run(directValues(frozen(), shape, rows), batch)).losses];
  } finally {
    await graph.dispose();
  }
}

/** Losses of the target's tokens as the server computes them. */
async function servedLosses(
  { runner }: Model,
  { source, start = [], target }: TokenExample,
  kv: PrefixKv,
): Promise<number[]> {
  const encoding = runner.sources!.begin(0, source, kv);
  while (!(await encoding.advance(2)));
  encoding.dispose();
  if (kv.length > 0) await runner.append(0, 0, kv);
  const found: number[] = [];
  for (const [position, id] of [...start, ...target.slice(0, -1)].entries()) {
    const place = { slot: 0, source: 0, past: kv.length + position, position };
    const output = await runner.step({ rows: [{ ...place, tokens: [id], logits: 'last', temperature: 1 }], topK: 1 });
    found.push(output.lse[0]! - output.logits(0)[target[position]!]!);
  }
  return found;
}

const randomValues = (shape: TunedShape): Values =>
  initialValues({ frozen: frozen(), shape, tokenEmbeddings: model.tokenEmbeddings, random: new RandomStream(3, 0) });

function expectClose(found: readonly number[], expected: readonly number[], tolerance = 1e-5): void {
  expect(found).toHaveLength(expected.length);
  found.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(tolerance));
}

const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);

describe('gradients in an encoder-decoder', () => {
  it.each([[SITES], ['encoder'], ['decoder'], ['cross'], [['encoder', 'cross']]])(
    'are the slope of the loss: %s',
    async (sites) => {
      const shape = tunedShape(frozen(), { method: 'prefix', mlp: 6, sites: [sites].flat() }, 3);
      const values = randomValues(shape);
      const { gradients } = await run(shape, values);
      expect([...gradients.keys()]).toEqual([...values.keys()]);
      const random = new RandomStream(4, 0);
      const graph = await model.openLoss(shape, false);
      const batch = makeBatch(EXAMPLES, frozen(), shape);
      for (const name of values.keys()) {
        const direction = Float64Array.from(values.get(name)!, () => random.normal());
        const lossAt = async (distance: number): Promise<number> => {
          const moved = values.get(name)!.map((value, i) => value + distance * direction[i]!);
          return sum((await graph.run(new Map([...values, [name, moved]]), batch)).losses) / EXAMPLES.length;
        };
        const slope = ((await lossAt(2e-3)) - (await lossAt(-2e-3))) / 4e-3;
        const expected = gradients.get(name)!.reduce((total, g, i) => total + g * direction[i]!, 0);
        expect(Math.abs(slope - expected), name).toBeLessThan(0.01 * Math.abs(expected) + 3e-3);
      }
      await graph.dispose();
    },
  );

  it('leave the encoder out where it has no virtual tokens', () => {
    const { manifest } = model.options;
    const uses = (sites: readonly string[]): number => {
      const shape = tunedShape(manifest.shape, { method: 'prefix', mlp: 0, sites }, 3);
      const nodes = trainingGraph({ manifest, shape, gradients: true }).history;
      return nodes.filter(({ inputs }) => inputs.includes('encoder.layers.0.fc1.weight')).length;
    };
    expect([uses(['decoder', 'cross']), uses(SITES)]).toEqual([1, 2]);
  });

  it('are those of the examples alone, one with another, and the mean over tokens weighs them', async () => {
    const shape = tunedShape(frozen(), { method: 'prefix', mlp: 0 }, 2);
    const values = randomValues(shape);
    const [first, second] = [EXAMPLES[0]!, EXAMPLES[2]!];
    const gradient = async (examples: TokenExample[], mean?: 'tokens'): Promise<number[]> => {
      const { gradients } = await run(shape, values, examples, mean);
      return SITES.flatMap((site) => [...gradients.get(`${site}.rows`)!]);
    };
    const [a, b] = [await gradient([first]), await gradient([second])];
    const combined = (weight: number): number[] => a.map((value, i) => (value + b[i]!) * weight);
    expectClose(await gradient([first, second]), combined(1 / 2));
    expectClose(await gradient([first, second], 'tokens'), combined(1 / 10));
  });
});

describe('the parts of a step', () => {
  const many = Array.from({ length: 300 }, (_, i) => EXAMPLES[(i * i) % EXAMPLES.length]!);

  it.each(['sentences', 'tokens'] as const)('have together the gradient of one batch: mean over %s', async (mean) => {
    const shape = tunedShape(frozen(), { method: 'prefix', mlp: 6 }, 2);
    const values = randomValues(shape);
    const graph = await model.openLoss(shape, true);
    const parts = stepParts(many, frozen(), shape, mean);
    const together = await runParts(graph, values, parts);
    const whole = await graph.run(values, makeBatch(many, frozen(), shape, mean));
    await graph.dispose();
    expect(parts.length).toBeGreaterThan(1);
    expectClose([...together.losses], [...whole.losses]);
    for (const [name, gradient] of whole.gradients) {
      const largest = Math.max(...gradient.map(Math.abs));
      expectClose([...together.gradients.get(name)!], [...gradient], 1e-4 * largest);
    }
  });

  it('have whole examples in order, and about as many tokens as each other', () => {
    const shape = tunedShape(frozen(), { method: 'prefix', mlp: 0 }, 2);
    const parts = stepParts(many, frozen(), shape);
    const ids = (batches: readonly Batch[]): number[] =>
      batches.flatMap(({ inputs }) => [...inputs['source_ids']!.data]);
    expect(ids(parts)).toEqual(ids([makeBatch(many, frozen(), shape)]));
    const tokens = parts.map((part) => part.tokens);
    expect(Math.max(...tokens) - Math.min(...tokens)).toBeLessThan(20);
  });

  it('are one for an example that is longer than a part, and none is empty', () => {
    const shape = tunedShape(frozen(), { method: 'prefix', mlp: 0 }, 2);
    const long = { source: Array<number>(5000).fill(7), start: [2], target: [9, 2] };
    const rows = stepParts([EXAMPLES[0]!, long, EXAMPLES[1]!], frozen(), shape).map(({ tokens }) => tokens);
    expect(rows.reduce((sum, count) => sum + count, 0)).toBe(5000 + 2 + 6 + 4 + 3 + 2);
    expect(Math.min(...rows)).toBeGreaterThan(0);
  });

  it('are more where many tokens are learned: their logits are wide', () => {
    const shape = tunedShape(frozen(), { method: 'prefix', mlp: 0 }, 2);
    const rows = Array.from({ length: 10 }, () => ({ source: [7], start: [2], target: Array<number>(100).fill(9) }));
    const learned = stepParts(rows, frozen(), shape).map((part) => part.learned);
    expect(learned.reduce((sum, count) => sum + count, 0)).toBe(1000);
    expect(Math.max(...learned)).toBeLessThanOrEqual(300);
  });

  it('are larger where an MLP makes many virtual tokens', () => {
    const rows = Array.from({ length: 30 }, () => ({ source: Array<number>(100).fill(7), start: [2], target: [2] }));
    const partsWith = (mlp: number): number =>
      stepParts(rows, frozen(), tunedShape(frozen(), { method: 'prefix', mlp }, 100)).length;
    expect([partsWith(0), partsWith(6)]).toEqual([3, 1]);
  });
});

describe('words as a start', () => {
  const words = [0, 12, 40, 7, 2];
  const echo: TokenExample[] = [{ source: words, start: [2], target: [9, 8, 2] }];

  it('give encoder and cross-attention what a source of these words has', async () => {
    // Twice the same keys and values are as good as once.
    const rows = await model.activations(words);
    const bare = await losses(BARE, new Map(), echo);
    for (const sites of [['encoder'], ['cross'], ['encoder', 'cross']]) {
      const shape = tunedShape(frozen(), { method: 'prefix', mlp: 0, sites }, words.length);
      expectClose(await losses(shape, rows, echo), bare, 1e-4);
    }
  });

  it('give the decoder what it has of them', async () => {
    const rows = await model.activations([2]);
    const single = [{ source: [2], start: [2], target: [2] }];
    const shape = tunedShape(frozen(), { method: 'prefix', mlp: 0 }, 1);
    expectClose(await losses(shape, rows, single), await losses(BARE, new Map(), single), 1e-4);
  });

  it.each([0, 16])('are exported as they are before the first step, MLP %s', async (mlp) => {
    const out = newDirectory();
    await tune(bartJob(out, { init: 'dab', length: undefined, mlp, maxSteps: 0 }));
    const { kv } = await adapterIn(out);
    const expected = await model.activations([100, 97, 98]);
    for (const site of SITES) expectClose([...kv.rows.get(site)!], [...expected.get(site)!], 1e-4);
  });
});

describe('tuning an encoder-decoder', () => {
  it('lowers the loss, and the file has the sites that were trained', async () => {
    const valid = job(model, '').train.slice(0, 4);
    for (const sites of [undefined, ['cross', 'decoder']]) {
      const [before, after] = [newDirectory(), newDirectory()];
      const first = await tune({ ...bartJob(before, { sites, maxSteps: 0 }), valid });
      const untrained = await tune({ ...bartJob(newDirectory(), { sites, maxSteps: 1, learningRate: 1e-9 }), valid });
      const trained = await tune({ ...bartJob(after, { sites, learningRate: 0.02 }), valid });
      expect(first.steps).toBe(0);
      expect(trained.valid_loss).toBeLessThan(untrained.valid_loss! - 0.1);
      const { kv, length } = await adapterIn(after);
      const names = sites === undefined ? SITES : ['decoder', 'cross'];
      expect([...kv.rows.keys()]).toEqual(names);
      expect([length, kv.shift]).toEqual([5, 0]);
      expect(trained.sites).toEqual(Object.fromEntries(names.map((name) => [name, 5])));
    }
  });

  it.each([SITES, ['encoder'], ['decoder', 'cross']].map((sites) => [sites]))(
    'exports what gives in serving what it gave in training: %s',
    async (sites) => {
      const out = newDirectory();
      await tune(bartJob(out, { sites }));
      const { kv, length } = await adapterIn(out);
      const shape = tunedShape(frozen(), { method: 'prefix', mlp: 0, sites }, length);
      const served = await openTestModel(path.join(root, 'model'), { slots: 2 });
      try {
        for (const example of EXAMPLES) {
          expectClose(await servedLosses(served, example, kv), await losses(shape, kv.rows, [example]), 2e-4);
        }
      } finally {
        await served.dispose();
      }
    },
  );

  it('goes on from a checkpoint to the same bytes, and leaves the model as it was', async () => {
    const weights = path.join(model.options.directory, 'weights.bin');
    const before = await fs.readFile(weights);
    const [whole, cut] = [newDirectory(), newDirectory()];
    await tune(bartJob(whole));
    const interrupt = new AbortController();
    const stopped = await tune({
      ...bartJob(cut),
      signal: interrupt.signal,
      onProgress: ({ point }) => {
        if (point.step === 7) interrupt.abort();
      },
    });
    expect(stopped).toMatchObject({ stop: 'interrupted', steps: 7 });
    expect(await tune(bartJob(cut))).toMatchObject({ stop: 'finished', resumed_from: 7 });
    expect(await hash(cut)).toBe(await hash(whole));
    expect((await fs.readFile(weights)).equals(before)).toBe(true);
  });

  it('goes on from an adapter, at its sites, exactly where it stood', async () => {
    const [first, second] = [newDirectory(), newDirectory()];
    await tune(bartJob(first, { sites: ['encoder'], length: 4 }));
    const goOn = (settings: Partial<TuneSettings>) =>
      tune({ ...bartJob(second, { length: undefined, maxSteps: 0, ...settings }), adapter: first });
    await goOn({});
    const [before, after] = [await adapterIn(first), await adapterIn(second)];
    expect([...after.kv.rows.keys()]).toEqual(['encoder']);
    expectClose([...after.kv.rows.get('encoder')!], [...before.kv.rows.get('encoder')!]);
    await expect(goOn({ sites: ['cross'] })).rejects.toThrow('sites: cross, but the adapter has rows at encoder');
    await expect(goOn({ length: 9 })).rejects.toThrow('length: 9, but the adapter has 4 virtual tokens');
  });

  it('counts what is trained and stored', () => {
    const shape = tunedShape(frozen(), { method: 'prefix', mlp: 6 }, 2);
    const columns = [128, 192, 192];
    expect(storedCount(frozen(), shape)).toBe(2 * sum(columns));
    expect(parameterCount(frozen(), shape)).toBe(sum(columns.map((width) => 2 * 32 + 6 * 32 + 6 + width * 6 + width)));
  });

  it.each<[Partial<TuneSettings>, string]>([
    [{ method: 'infix' }, 'method: the model is an encoder-decoder, which takes prefix only, not infix'],
    [{ method: 'embedding', mlp: 0 }, 'method: the model is an encoder-decoder'],
    [{ sites: ['self'] }, 'sites: "self" is no site of the model; it has encoder, decoder, cross'],
    [{ sites: [] }, 'sites: none given; at least one of encoder, decoder, cross is needed'],
  ])('refuses %o', async (settings, message) => {
    await expect(tune(bartJob(newDirectory(), settings))).rejects.toThrow(message);
  });

  it('refuses sites for a decoder-only model', async () => {
    const gpt2 = await openTrainingModel(golden('tiny-a').directory);
    try {
      await expect(tune(job(gpt2, newDirectory(), { sites: ['encoder'] }))).rejects.toThrow(
        'sites: the model has no encoder; only encoder-decoders take sites',
      );
    } finally {
      await gpt2.dispose();
    }
  });
});

describe('examples of an encoder-decoder', () => {
  const options = () => ({ ...job(model, ''), manifest: model.options.manifest, length: 5, subject: 'train' as const });

  it('have special tokens around a text, none around ids, and the forced first token before the target', async () => {
    const examples = [
      { source: 'ab', targets: ['c'] },
      { source: [7], targets: [[8, 9]] },
    ];
    const plain = { decoderStart: [2], forcedBosTokenId: null };
    const encode = async (generation: object) =>
      (await tokenExamples(examples, { ...options(), generation: { ...plain, ...generation } })).examples;
    expect(await encode({})).toEqual([
      { source: [0, 97, 98, 2], start: [2], target: [99, 2] },
      { source: [7], start: [2], target: [8, 9, 2] },
    ]);
    expect((await encode({ forcedBosTokenId: 0 })).map(({ target }) => target)).toEqual([
      [0, 99, 2],
      [0, 8, 9, 2],
    ]);
  });

  it('may fill the positions of either side, and are refused beyond them', async () => {
    const encode = (source: number, target: number) =>
      tokenExamples([{ source: Array<number>(source).fill(7), targets: [Array<number>(target).fill(8)] }], {
        ...options(),
        generation: model.generation,
      });
    await expect(encode(40, 39)).resolves.toMatchObject({ examples: [{}] });
    await expect(encode(41, 1)).rejects.toThrow('example 1: 41 tokens in the prompt; a source may have 40');
    await expect(encode(1, 40)).rejects.toThrow('41 tokens in the completion with those that it starts with; a target');
    await expect(encode(0, 1)).rejects.toThrow('example 1: the prompt has no token');
  });
});
