import fs from 'node:fs/promises';
import path from 'node:path';

import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { type App, createApp } from '../../src/app/app.js';
import { defaultConfig } from '../../src/config/config.js';
import { bartBeamCases, type BartGreedyCase, describeBarts } from '../support/bart-goldens.js';
import { encodeForm } from '../support/http.js';
import { modelCache } from '../support/models.js';

/** See `test/model/bart-goldens.test.ts`. */
const TOLERANCE = 1e-2;

interface Answer {
  readonly choices: readonly {
    readonly index: number;
    readonly token_ids: number[];
    readonly prompt_token_ids: number[];
    readonly finish_reason: string;
    readonly logprobs: { readonly token_logprobs: number[] };
  }[];
  readonly usage: Record<string, number>;
}

describeBarts('over HTTP', (name, reference) => {
  const { cases, batches } = reference;
  let store: string;
  let app: App;
  let http: FastifyInstance;

  async function open(): Promise<void> {
    app = await createApp({
      ...defaultConfig(),
      model: reference.directory,
      cache: modelCache,
      store: { kind: 'file', directory: store },
      logLevel: 'silent',
      slots: 8,
      prefixCacheBytes: 1 << 16, // a few prefixes: those of some cases are read again
    });
    http = app.server.app;
  }

  beforeAll(async () => {
    store = await fs.mkdtemp(path.join(modelCache, 'prefixes-'));
    await open();
  });
  afterAll(async () => {
    app.engine.checkIntegrity();
    await app.close();
  });

  const bodyOf = ({ adapter, source, ids }: BartGreedyCase) => ({
    ...{ model: adapter ?? name, prompt: source, max_tokens: ids.length, temperature: 0 },
    ...{ logprobs: 0, return_token_ids: true },
  });

  const complete = async (payload: object): Promise<Answer> => {
    const response = await http.inject({ method: 'POST', url: '/v1/completions', payload });
    expect(response.statusCode, response.body).toBe(200);
    return response.json<Answer>();
  };

  function expectCase({ choices, usage }: Answer, { id, source, ids, logprobs }: BartGreedyCase): void {
    for (const choice of choices) {
      expect(choice.token_ids, id).toEqual(ids);
      expect(choice.prompt_token_ids, id).toEqual(source);
      choice.logprobs.token_logprobs.forEach((logprob, i) => {
        expect(Math.abs(logprob - (logprobs[i] as number)), id).toBeLessThan(TOLERANCE);
      });
    }
    const generated = choices.length * ids.length;
    expect(usage).toMatchObject({ prompt_tokens: source.length, completion_tokens: generated });
  }

  it('takes every adapter, and gives it back', async () => {
    for (const adapter of new Set(cases.map((testCase) => testCase.adapter))) {
      if (adapter === null) continue;
      const [config, model] = await Promise.all(
        ['adapter_config.json', 'adapter_model.safetensors'].map((file) =>
          fs.readFile(path.join(reference.adapterDirectory(adapter), file)),
        ),
      );
      const { headers, body } = await encodeForm({
        name: adapter,
        adapter_config: [new Uint8Array(config as Uint8Array), 'adapter_config.json'],
        adapter_model: [new Uint8Array(model as Uint8Array), 'adapter_model.safetensors'],
      });
      const call = { method: 'POST', url: '/v1/prefixes', payload: Buffer.from(body), headers } as const;
      const response = await http.inject(call);
      expect(response.statusCode, response.body).toBe(201);
      const back = await http.inject(`/v1/prefixes/${adapter}/files/adapter_model.safetensors`);
      expect(back.rawPayload.equals(model as Uint8Array)).toBe(true);
    }
  });

  it('answers all cases at once as Transformers would, after a restart too', async () => {
    const all = () =>
      Promise.all(cases.map(async (testCase) => expectCase(await complete(bodyOf(testCase)), testCase)));
    await all();
    await app.close();
    await open();
    await all();
  });

  it('answers every listed batch in one call', async () => {
    const byId = new Map(cases.map((testCase) => [testCase.id, testCase]));
    for (const batch of batches) {
      const requests = batch.map((id) => ({ custom_id: id, body: bodyOf(byId.get(id) as BartGreedyCase) }));
      const response = await http.inject({ method: 'POST', url: '/v1/batch/completions', payload: { requests } });
      const { data } = response.json<{ data: { custom_id: string; response: { body: Answer } }[] }>();
      expect(data.map(({ custom_id: id }) => id)).toEqual(batch);
      for (const { custom_id: id, response } of data) expectCase(response.body, byId.get(id) as BartGreedyCase);
    }
  });

  it('gives choices that share a source, and streams, the same', async () => {
    await Promise.all(
      cases.slice(0, 12).map(async (testCase) => {
        expectCase(await complete({ ...bodyOf(testCase), n: 3 }), testCase);
        const payload = { ...bodyOf(testCase), stream: true };
        const { body } = await http.inject({ method: 'POST', url: '/v1/completions', payload });
        const chunks = body.split('\n\n').flatMap((event) => {
          const data = event.replace(/^data: /, '');
          return data.startsWith('{') ? [JSON.parse(data) as Answer] : [];
        });
        expect(chunks.flatMap(({ choices }) => choices[0]?.token_ids ?? [])).toEqual(testCase.ids);
      }),
    );
  });

  it('searches with beams, all at once', async () => {
    const searches = bartBeamCases(name).flatMap(([adapter, each]) => each.map((one) => [adapter, one] as const));
    await Promise.all(
      searches.map(async ([adapter, { source, options, sequences, scores }]) => {
        const { num_beams: width, length_penalty: penalty = 1, early_stopping: early } = options;
        const isSearch = scores !== null;
        const { choices } = await complete({
          ...{ model: adapter === 'base' ? name : adapter, prompt: source, max_tokens: options.max_new_tokens },
          ...(isSearch
            ? { use_beam_search: true, best_of: width, n: width, length_penalty: penalty, early_stopping: early }
            : { temperature: 0 }),
          ...{ stop_token_ids: [options.eos_token_id], ignore_eos: true, return_token_ids: true, logprobs: 0 },
          min_tokens: Math.max(0, (options.min_length ?? 0) - 1),
          no_repeat_ngram_size: options.no_repeat_ngram_size ?? 0,
          forced_bos_token_id: options.forced_bos_token_id ?? null,
          forced_eos_token_id: options.forced_eos_token_id ?? null,
        });
        expect(choices.map(({ token_ids: ids }) => ids)).toEqual(sequences);
        if (!isSearch) return;
        choices.forEach(({ token_ids: ids, logprobs }, i) => {
          const logprob = logprobs.token_logprobs.reduce((sum, one) => sum + one, 0);
          expect(Math.abs(logprob / ids.length ** penalty - (scores[i] as number))).toBeLessThan(1e-3);
        });
      }),
    );
  });

  it('reads sources as the reference tokenizer does', async () => {
    for (const { text, ids } of reference.tokenizer) {
      const payload = { model: name, prompt: text, max_tokens: 0, return_token_ids: true };
      const answer = await complete(payload);
      expect(answer.choices[0]?.prompt_token_ids, JSON.stringify(text)).toEqual(ids);
    }
  });
});
