import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import type { EarlyStopping, Generation, RequestPrefix } from '../../src/engine/request.js';
import type { Model } from '../../src/model/model.js';
import { DECODER, rowWidth, siteNamed } from '../../src/prefix/kv.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { readTensors } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';

const root = fileURLToPath(new URL('../../../shared/goldens/bart', import.meta.url));
const TOLERANCE = 1e-3;

/**
 * What Transformers finds in float64 where its float32, up to 5.5e-3 from that in these models, dropped a beam that was better by
 * 4.9e-3: searches of `tiny-bart-b` with the prefix `sites-6`, a source of 3 tokens and forced tokens, by their end token.
 */
const IN_FLOAT64: ReadonlyMap<number, Pick<BartBeamCase, 'sequences' | 'scores'>> = new Map([
  [
    2,
    {
      sequences: [
        [0, 488, 202, 304, 492, 280, 403, 403, 304, 112, 403, 379, 435, 2],
        [0, 488, 202, 304, 492, 280, 403, 403, 304, 112, 403, 379, 370, 2],
        [0, 488, 202, 304, 492, 280, 403, 403, 304, 112, 403, 379, 107, 2],
        [0, 488, 202, 304, 492, 280, 403, 403, 347, 379, 435, 435, 403, 2],
      ],
      scores: [-1.20718, -1.21326, -1.25951, -1.26022],
    },
  ],
  [
    403,
    {
      sequences: [
        [0, 488, 202, 304, 492, 280, 435, 107, 452, 403],
        [0, 488, 202, 304, 492, 280, 403],
        [0, 488, 202, 304, 492, 280, 435, 107, 403],
        [0, 488, 202, 304, 492, 252, 112, 107, 403],
      ],
      scores: [-1.32242, -1.33979, -1.36517, -1.40558],
    },
  ],
]);

/** The cases of a model by adapter, `base` without one. */
function readCases(name: string): [adapter: string, cases: BartBeamCase[]][] {
  const file = path.join(root, 'expected', `${name}.beam.json`);
  const read = JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, BartBeamCase[]>;
  return Object.entries(read).map(([adapter, cases]) => [
    adapter,
    cases.map((one) => {
      const { source, options } = one;
      const isUncertain = name === 'tiny-bart-b' && adapter === 'sites-6' && source.length === 3;
      if (!isUncertain || options.forced_bos_token_id === undefined) return one;
      return { ...one, ...IN_FLOAT64.get(options.eos_token_id) };
    }),
  ]);
}

/** One case of `expected/MODEL.beam.json`; the options are Transformers' names. */
interface BartBeamCase {
  readonly source: number[];
  readonly options: {
    readonly max_new_tokens: number;
    readonly eos_token_id: number;
    readonly num_beams: number;
    readonly length_penalty?: number;
    readonly early_stopping?: EarlyStopping;
    /** Counts the start token. */
    readonly min_length?: number;
    readonly no_repeat_ngram_size?: number;
    readonly forced_bos_token_id?: number;
    readonly forced_eos_token_id?: number;
  };
  readonly sequences: number[][];
  /** Null for greedy search. */
  readonly scores: number[] | null;
}

async function collect(generation: Generation) {
  const ids: number[] = [];
  for await (const event of generation) {
    if (event.type === 'token') ids.push(event.id);
    if (event.type === 'finish') return { ids, score: event.score };
  }
  throw new Error('a generation without an end');
}

describe.runIf(fs.existsSync(root)).each(['tiny-bart-a', 'tiny-bart-b'])('beam searches of %s', (name) => {
  let model: Model;
  let engine: Engine;
  let cases: [adapter: string, cases: BartBeamCase[]][];

  beforeAll(async () => {
    cases = readCases(name);
    model = await openTestModel(path.join(root, 'models', name), { slots: 8 });
    const tokenizer = await Tokenizer.load(model.tokenizerDirectory);
    engine = new Engine({
      runner: model.runner,
      tokenizer,
      eosTokenIds: model.eosTokenIds,
      limits: { maxSourceTokens: 3 },
    });
  });
  afterAll(() => model.dispose());

  function prefixOf(adapter: string): RequestPrefix | undefined {
    if (adapter === 'base') return undefined;
    const tensors = readTensors(path.join(root, 'adapters', name, adapter, 'adapter_model.safetensors'));
    const rows = new Map(
      Object.entries(tensors).map(([key, { data }]) => [key.slice(0, key.indexOf('.')), data] as const),
    );
    const length = (rows.get(DECODER)?.length ?? 0) / rowWidth(siteNamed(model.base, DECODER));
    return { kv: { length, shift: 0, rows }, placement: 'prefix' };
  }

  async function check(testCase: BartBeamCase, prefix: RequestPrefix | undefined): Promise<void> {
    const { source, options, sequences, scores } = testCase;
    const common = {
      ...{ tenant: 'default', source, prompt: [2], prefix, ignoreEos: true, logprobs: undefined },
      stopTokenIds: [options.eos_token_id],
      maxTokens: options.max_new_tokens,
      minTokens: Math.max(0, (options.min_length ?? 0) - 1),
      noRepeatNgramSize: options.no_repeat_ngram_size,
      forcedFirstToken: options.forced_bos_token_id,
      forcedLastToken: options.forced_eos_token_id,
    };
    if (scores === null) {
      const sampling = { temperature: 0, topP: 1, topK: 0, seed: undefined };
      const { ids } = await collect(engine.submit({ ...common, sampling, choice: 0, stop: [] }));
      expect([ids]).toEqual(sequences);
      return;
    }
    const { num_beams: width, length_penalty: lengthPenalty = 1, early_stopping: earlyStopping } = options;
    const generations = engine.submitBeams({ ...common, width, lengthPenalty, earlyStopping });
    const found = await Promise.all(generations.map(collect));
    expect(found.map(({ ids }) => ids)).toEqual(sequences);
    found.forEach(({ score = NaN }, i) => expect(Math.abs(score - (scores[i] ?? NaN))).toBeLessThan(TOLERANCE));
  }

  it('find what Transformers finds, each alone', async () => {
    for (const [adapter, each] of cases) for (const one of each) await check(one, prefixOf(adapter));
    engine.checkIntegrity();
  });

  it('find it in company', async () => {
    await Promise.all(cases.flatMap(([adapter, each]) => each.map((one) => check(one, prefixOf(adapter)))));
    engine.checkIntegrity();
  });
});
