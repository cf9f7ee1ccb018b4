import fs from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { bundledModel } from '../../src/config/paths.js';
import { Engine } from '../../src/engine/engine.js';
import { evaluate, type EvaluateOptions, type EvaluationModel } from '../../src/evaluation/evaluate.js';
import { generate } from '../../src/evaluation/generate.js';
import { firstSources, groupBySource } from '../../src/evaluation/sources.js';
import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import type { TrainingExample } from '../../src/tuning/data/example.js';
import type { TuneSettings } from '../../src/tuning/settings.js';
import { tune } from '../../src/tuning/tune.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { beamGoldens, golden } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';
import { job, openTrainingModel } from '../tuning/models.js';

const { directory } = golden('tiny-a');
const generation = { beams: 5, lengthPenalty: 1, maxTokens: 12 };
/** Two sources, the first with two references. */
const EXAMPLES: TrainingExample[] = [
  { source: ' the sea', targets: [' is calm.'] },
  { source: ' a hill', targets: [' is green.'] },
  { source: ' the sea', targets: [' is wide.'] },
];
let model: EvaluationModel;

async function open(source: string): Promise<EvaluationModel> {
  const training = await openTrainingModel(source);
  return { training, served: await openTestModel(source), tokenizer: await loadTokenizer(source) };
}

async function close({ served, training }: EvaluationModel): Promise<void> {
  await served.dispose();
  await training.dispose();
}

beforeAll(async () => (model = await open(directory)));
afterAll(() => close(model));

const run = (options: Partial<EvaluateOptions>) =>
  evaluate(model, { examples: EXAMPLES, adapter: undefined, generation: undefined, ...options });

async function trained(
  { training, tokenizer }: EvaluationModel,
  settings: Partial<TuneSettings>,
  train: readonly TrainingExample[],
): Promise<string> {
  const out = await temporaryDirectory();
  await tune({ ...job(training, out, settings), encoder: tokenizer, train });
  return out;
}

describe('evaluate', () => {
  it("gives the bare model's loss as serving computes it, and generates nothing unless asked", async () => {
    const { runner, eosTokenIds } = model.served;
    const engine = new Engine({ runner, eosTokenIds, tokenizer: model.tokenizer });
    const losses: number[] = [];
    for (const { source, targets } of EXAMPLES) {
      const [first, second] = [source, targets[0]!].map((text) => model.tokenizer.encode(text as string));
      const events = engine.submit({
        tenant: 'test',
        prompt: [...first!, ...second!, 0],
        sampling: { temperature: 0, topP: 1, topK: 0, seed: 1 },
        choice: 0,
        maxTokens: 0,
        minTokens: 0,
        stop: [],
        stopTokenIds: [],
        ignoreEos: false,
        logprobs: undefined,
        promptLogprobs: 0,
      });
      const scored: number[] = [];
      for await (const event of events) {
        if (event.type === 'prompt') scored.push(...event.tokens.map(({ logprob }) => -logprob));
      }
      losses.push(...scored.slice(first!.length - 1));
    }
    const mean = losses.reduce((a, b) => a + b) / losses.length;
    const result = await run({});
    expect(result).toMatchObject({ method: null, num_virtual_tokens: 0, sources: 2, learned_tokens: losses.length });
    expect(result.loss).toBeCloseTo(mean, 5);
    expect(result.perplexity).toBeCloseTo(Math.exp(mean), 3);
    expect(result).toMatchObject({ scores: undefined, predictions: [] });
  });

  it('has the validation loss that training reported', async () => {
    const out = await temporaryDirectory();
    const { valid_loss } = await tune({ ...job(model.training, out), encoder: model.tokenizer, valid: EXAMPLES });
    expect((await run({ adapter: out })).loss).toBeCloseTo(valid_loss!, 5);
  });

  it('reports how far it is, and stops when told to', async () => {
    const seen: string[] = [];
    const onProgress: EvaluateOptions['onProgress'] = ({ phase, done, total }) =>
      seen.push(`${phase} ${done}/${total}`);
    await run({ generation, onProgress });
    expect(seen).toEqual(['loss 3/3', 'generation 1/2', 'generation 2/2']);
    const stop = new AbortController();
    const stopped = run({
      generation,
      signal: stop.signal,
      onProgress: ({ phase }) => phase === 'generation' && stop.abort(new Error('enough')),
    });
    await expect(stopped).rejects.toThrow('enough');
    expect((await run({ generation })).predictions).toHaveLength(2);
  });

  it('names what it cannot use', async () => {
    const where = 'x.jsonl line 3';
    const long = { source: Array<number>(150).fill(5), targets: ['b'], where };
    await expect(run({ examples: [long], generation })).rejects.toThrow(`${where}: The context is 160 tokens`);
    await expect(
      run({ examples: [{ source: 'a', targets: ['b'], references: [], where }], generation }),
    ).rejects.toThrow(`${where}: no text to compare with`);
    await expect(run({ adapter: '/no/such' })).rejects.toThrow('/no/such: no such directory');
    const adapter = await trained(model, { maxSteps: 0 }, EXAMPLES);
    await fs.writeFile(path.join(adapter, 'adapter_model.safetensors'), 'broken');
    await expect(run({ adapter })).rejects.toThrow(`${adapter}: adapter_model`);
  });
});

describe('a prefix that learned two sentences by heart', () => {
  const examples: TrainingExample[] = [
    { source: 'The sea', targets: [' is calm.'] },
    { source: 'The hill', targets: [' was green.'] },
  ];
  const references = ['is calm.'];
  let demo: EvaluationModel;

  beforeAll(async () => (demo = await open(bundledModel)));
  afterAll(() => close(demo));

  it.each(['prefix', 'infix', 'embedding'] as const)('says them: %s', async (method) => {
    const settings = { method, epochs: 80, batchSize: 2, learningRate: 0.1, mlp: 0 };
    const adapter = await trained(demo, settings, examples);
    const options = { adapter, generation: { ...generation, maxTokens: 6 } };
    const learned = await evaluate(demo, { ...options, examples });
    expect(learned).toMatchObject({ method, num_virtual_tokens: 5 });
    expect(learned.loss).toBeLessThan(0.2);
    expect(learned.predictions).toEqual([
      { source: 'The sea', prediction: 'is calm.', references },
      { source: 'The hill', prediction: 'was green.', references: ['was green.'] },
    ]);
    expect(learned.scores).toMatchObject({ rouge_l: 1, rouge_score_l: 1 });
    const others = [{ source: 'The sea', targets: [' roars.'] }, ...examples];
    const more = await evaluate(demo, { ...options, examples: others });
    expect(more.predictions[0]).toEqual({ ...learned.predictions[0], references: ['roars.', ...references] });
    expect(more.loss).toBeGreaterThan(learned.loss + 0.5);
  });
});

describe('generation', () => {
  it('is the beam search of Transformers, each prompt as if it were alone (A12)', async () => {
    const [, all] = beamGoldens('tiny-a').find(([adapter]) => adapter === 'base')!;
    const cases = all.filter((one) => one.eos_token_id === 0 && one.length_penalty === 1 && one.num_beams === 5);
    const prompts = cases.map(({ prompt }, i) => ({ prompt, where: `case ${i}` }));
    const maxTokens = cases[0]!.max_new_tokens;
    const texts = await generate(prompts, {
      ...generation,
      maxTokens,
      model: model.served,
      tokenizer: model.tokenizer,
      entries: [{ prefix: undefined, weight: 1 }],
    });
    const text = (ids: readonly number[]): string => model.tokenizer.decode(ids.filter((id) => id !== 0)).trim();
    expect(cases.length).toBeGreaterThan(1);
    expect(texts).toEqual(cases.map(({ sequences }) => text(sequences[0]!)));
  });
});

describe('the settings of generation', () => {
  it.each([
    [generation, { width: 5, minTokens: 0, noRepeatNgramSize: 0, earlyStopping: false }],
    [
      {
        ...generation,
        beams: 6,
        lengthPenalty: 0.8,
        minTokens: 3,
        noRepeatNgramSize: 2,
        earlyStopping: 'never' as const,
      },
      { width: 6, lengthPenalty: 0.8, minTokens: 3, noRepeatNgramSize: 2, earlyStopping: 'never' },
    ],
  ])('are those of the search: %j', async (settings, expected) => {
    const submitted = vi.spyOn(Engine.prototype, 'submitBeams');
    const scores = ['rouge_score_1', 'rouge_score_2_stem'] as const;
    const result = await run({ generation: settings, scores });
    expect(submitted.mock.calls.map(([request]) => request)).toMatchObject([expected, expected]);
    expect(Object.keys(result.scores!)).toEqual(scores);
    submitted.mockRestore();
  });
});

describe('sources', () => {
  it('are grouped with all their references, in the order of the data', () => {
    expect(groupBySource(EXAMPLES).map(({ references }) => references)).toEqual([
      [' is calm.', ' is wide.'],
      [' is green.'],
    ]);
    const ids: TrainingExample[] = [1, 2, 1].map((id) => ({ source: [id], targets: [[id]], references: ['r'] }));
    expect(groupBySource(ids).map(({ references }) => references)).toEqual([['r', 'r'], ['r']]);
  });

  it('are limited with all their examples', () => {
    expect(firstSources(EXAMPLES, 1)).toEqual([EXAMPLES[0], EXAMPLES[2]]);
    expect(firstSources(EXAMPLES, Infinity)).toEqual(EXAMPLES);
  });
});
