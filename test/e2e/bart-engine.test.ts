import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import type { Priority } from '../../src/engine/priority.js';
import type { Generation, GenerationRequest } from '../../src/engine/request.js';
import type { CrossForm } from '../../src/model/cross-attention.js';
import type { Model } from '../../src/model/model.js';
import { composeKv, type PrefixKv } from '../../src/prefix/kv.js';
import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import { openTestModel } from '../support/models.js';
import { randomBart, randomPrefix, type VirtualTokens } from '../support/random-bart.js';

const MAX_TOKENS = 10;
const PREFIXES: readonly VirtualTokens[] = [
  {},
  { encoder: 3, decoder: 5, cross: 2 },
  { encoder: 4 },
  { decoder: 6 },
  { cross: 1 },
  { decoder: 3, shift: 3 },
  { embeddings: 4 },
  { encoder: 1, cross: 9 },
];

const { directory, reference } = randomBart();
const bestOf = (row: readonly number[]): number => row.indexOf(Math.max(...row));

/** One prefix with the rows of several at each site, in order. */
function join(parts: readonly PrefixKv[]): PrefixKv {
  const concat = (arrays: readonly (Float32Array | undefined)[]): Float32Array =>
    Float32Array.from(arrays.flatMap((array) => [...(array ?? [])]));
  const names = [...new Set(parts.flatMap(({ rows }) => [...rows.keys()]))];
  const rows = new Map(names.map((name) => [name, concat(parts.map((part) => part.rows.get(name)))]));
  const sum = (of: 'length' | 'shift'): number => parts.reduce((total, part) => total + part[of], 0);
  const sourceEmbeddings = concat(parts.map((part) => part.sourceEmbeddings));
  return { length: sum('length'), shift: sum('shift'), rows, ...(sourceEmbeddings.length > 0 && { sourceEmbeddings }) };
}

function logSoftmax(logits: readonly number[]): number[] {
  const lse = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - lse);
}

async function idsOf(generation: Generation): Promise<number[]> {
  const ids: number[] = [];
  for await (const event of generation) if (event.type === 'token') ids.push(event.id);
  return ids;
}

describe.each<CrossForm>(['fused', 'plain'])('a BART through the engine, cross-attention %s', (crossAttention) => {
  let model: Model;
  let engine: Engine;
  let requests: { readonly request: GenerationRequest; readonly expected: readonly number[] }[];

  beforeAll(async () => {
    model = await openTestModel(directory, { slots: 4, crossAttention });
    const { runner, eosTokenIds } = model;
    const tokenizer = await loadTokenizer(model.tokenizerDirectory);
    engine = new Engine({ runner, tokenizer, eosTokenIds, limits: { maxSourceTokens: 4, maxLoneChunkTokens: 64 } });
    requests = PREFIXES.flatMap((tokens, i) => [2, 11, 29].map((length) => makeCase(tokens, i, length)));
  });
  afterEach(async () => {
    await engine.idle();
    engine.checkIntegrity();
    expect(engine.stats()).toMatchObject({ waiting: 0, running: 0, kvUsage: 0 });
  });
  afterAll(() => model.dispose());

  /** A request, and what it is answered with by the model's definition. */
  function makeCase(tokens: VirtualTokens, seed: number, length: number) {
    const kv = randomPrefix(model.base, tokens, seed);
    const source = Array.from({ length }, (_, i) => (seed * 31 + length + i * i * 7 + i * 13) % 264);
    const expected: number[] = [];
    while (expected.length < MAX_TOKENS) {
      expected.push(bestOf(reference.logits(source, [2, ...expected], kv).at(-1) ?? []));
    }
    const request: GenerationRequest = {
      ...{ tenant: 'tenant', source, prompt: [2], prefix: { kv, placement: 'prefix' } },
      ...{ sampling: { temperature: 0, topP: 1, topK: 0, seed: undefined }, choice: 0, maxTokens: MAX_TOKENS },
      ...{ minTokens: 0, stop: [], stopTokenIds: [], ignoreEos: true, logprobs: undefined },
    };
    return { request, expected };
  }

  async function check(index: number, priority: Priority = 'interactive'): Promise<void> {
    const { request, expected } = requests[index] as (typeof requests)[number];
    expect(await idsOf(engine.submit({ ...request, priority })), String(index)).toEqual(expected);
  }

  it('answers each request alone', async () => {
    for (const index of requests.keys()) await check(index);
  });

  it('answers requests that come at any time', async () => {
    await Promise.all(
      [...requests.keys()].map(async (index) => {
        await delay((index * 37) % 101);
        await check(index);
      }),
    );
  });

  it('answers background work that gives way while it is encoded and while it decodes', async () => {
    const background = [...requests.keys()].slice(0, 12).map((index) => check(index, 'background'));
    for (const index of [...requests.keys()].slice(12)) {
      await Promise.all([check(index), check((index + 5) % requests.length), delay(3)]);
    }
    await Promise.all(background);
  });

  it('goes on beside requests that are cancelled while they are encoded', async () => {
    const longest = requests.filter(({ request }) => request.source?.length === 29);
    const cancel = async (round: number): Promise<void> => {
      for (const { request } of longest) {
        const generation = engine.submit(request);
        for (let turn = 0; turn <= round; turn++) await delay(1);
        generation.cancel();
      }
    };
    await Promise.all([...[0, 1, 2, 5].map(cancel), ...[...requests.keys()].map((index) => check(index))]);
  });

  it('composes prefixes at each site, and blends those whose sites differ', async () => {
    const source = Array.from({ length: 12 }, (_, i) => (i * 29 + 5) % 264);
    const [a, b, soft] = [PREFIXES[1], PREFIXES[7], PREFIXES[6]].map((tokens = {}, seed) =>
      randomPrefix(model.base, tokens, seed + 40),
    ) as [PrefixKv, PrefixKv, PrefixKv];
    const request = { ...(requests[0] as (typeof requests)[number]).request, source };
    const greedy = async (next: (ids: readonly number[]) => readonly number[]): Promise<number[]> => {
      const ids: number[] = [];
      while (ids.length < MAX_TOKENS) ids.push(bestOf(next(ids)));
      return ids;
    };
    const logits = (ids: readonly number[], kv: PrefixKv): readonly number[] =>
      reference.logits(source, [2, ...ids], kv).at(-1) ?? [];
    for (const parts of [
      [a, b],
      [b, a],
      [soft, a],
      [soft, soft, b],
    ]) {
      const composed = { ...request, prefix: { kv: composeKv(parts), placement: 'prefix' } as const };
      expect(await idsOf(engine.submit(composed))).toEqual(await greedy((ids) => logits(ids, join(parts))));
    }
    const weights = [1.5, -0.75, 0.5];
    const kvs = [a, soft, join([b, a])];
    const entries = [a, soft, composeKv([b, a])].map((kv, i) => {
      return { prefix: { kv, placement: 'prefix' } as const, weight: weights[i] as number };
    });
    const { prefix: _, ...rest } = request;
    expect(await idsOf(engine.submitBlend({ ...rest, entries }))).toEqual(
      await greedy((ids) => {
        const rows = kvs.map((kv) => logSoftmax(logits(ids, kv)));
        return rows[0]?.map((_, id) => rows.reduce((sum, row, i) => sum + (weights[i] ?? 0) * (row[id] ?? 0), 0)) ?? [];
      }),
    );
  });

  it('draws the same choices whether or not they share a source', async () => {
    const request = { ...(requests[4] as (typeof requests)[number]).request };
    const draw = (promptGroup: symbol | undefined) =>
      Promise.all(
        [0, 1, 2].map((choice) => {
          const sampling = { temperature: 1, topP: 1, topK: 0, seed: 7 };
          return idsOf(engine.submit({ ...request, sampling, choice, promptGroup }));
        }),
      );
    const shared = await draw(Symbol('prompt group'));
    expect(shared).toEqual(await draw(undefined));
    expect(new Set(shared.map(String)).size).toBe(3);
  });
});
