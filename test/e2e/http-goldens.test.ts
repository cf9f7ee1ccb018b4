import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type App, createApp } from '../../src/app/app.js';
import { defaultConfig } from '../../src/config/config.js';
import { encodeSafetensors } from '../../src/safetensors/index.js';
import { beamGoldens, beamModels, golden, goldenNames, type GreedyCase } from '../support/goldens.js';

const TOLERANCE = 1e-3;
const GREEDY = { max_tokens: 24, temperature: 0, logprobs: 0, return_token_ids: true };

type Bytes = Uint8Array<ArrayBuffer>;

interface Answer {
  readonly choices: readonly {
    readonly token_ids: number[];
    readonly prompt_token_ids: number[];
    readonly finish_reason: string;
    readonly logprobs: { readonly token_logprobs: number[] };
  }[];
}

/** A multipart upload of the two files that PEFT writes. */
async function upload(app: FastifyInstance, name: string, config: Bytes | string, model: Bytes, placement?: string) {
  const form = new FormData();
  form.set('name', name);
  if (placement !== undefined) form.set('placement', placement);
  form.set('adapter_config', new Blob([config]), 'adapter_config.json');
  form.set('adapter_model', new Blob([model]), 'adapter_model.safetensors');
  const request = new Response(form);
  return app.inject({
    method: 'POST',
    url: '/v1/prefixes',
    payload: Buffer.from(await request.arrayBuffer()),
    headers: { 'content-type': request.headers.get('content-type') as string },
  });
}

function expectCase({ choices }: Answer, testCase: GreedyCase): void {
  const [choice] = choices;
  expect(choice?.token_ids, testCase.id).toEqual(testCase.ids);
  expect(choice?.finish_reason, testCase.id).toBe(testCase.finish_reason);
  choice?.logprobs.token_logprobs.forEach((logprob, i) => {
    expect(Math.abs(logprob - (testCase.logprobs[i] as number)), testCase.id).toBeLessThan(TOLERANCE);
  });
}

describe.each(goldenNames())('%s over HTTP', (name) => {
  const reference = golden(name);
  const { cases, batches } = reference.greedy;
  let directory: string;
  let app: App;
  let http: FastifyInstance;

  beforeAll(async () => {
    directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-http-'));
    const config = {
      ...defaultConfig(),
      model: reference.directory,
      cache: path.join(directory, 'cache'),
      store: { kind: 'file', directory: path.join(directory, 'prefixes') },
      logLevel: 'silent',
      slots: 8,
    } as const;
    app = await createApp(config);
    http = app.server.app;
  });
  afterAll(async () => {
    await app.close();
    await fs.rm(directory, { recursive: true });
  });

  const modelOf = ({ adapter }: GreedyCase): string => adapter ?? name;

  it('takes every adapter as PEFT wrote it, and gives it back', async () => {
    for (const adapter of new Set(cases.map((testCase) => testCase.adapter))) {
      if (adapter === null) continue;
      const files = ['adapter_config.json', 'adapter_model.safetensors'];
      const [config, model] = await Promise.all(
        files.map((file) => fs.readFile(path.join(reference.adapter(adapter), file))),
      );
      const response = await upload(http, adapter, config as Bytes, model as Bytes);
      expect(response.statusCode, response.body).toBe(201);
      const back = await http.inject(`/v1/prefixes/${adapter}/files/adapter_model.safetensors`);
      expect(back.rawPayload.equals(model as Uint8Array)).toBe(true);
    }
  });

  it('answers every listed batch in one call as Transformers and PEFT would', async () => {
    const byId = new Map(cases.map((testCase) => [testCase.id, testCase]));
    for (const batch of batches) {
      const requests = batch.map((id) => {
        const testCase = byId.get(id) as GreedyCase;
        return { custom_id: id, body: { model: modelOf(testCase), prompt: testCase.prompt, ...GREEDY } };
      });
      const response = await http.inject({ method: 'POST', url: '/v1/batch/completions', payload: { requests } });
      const { data } = response.json<{
        data: { custom_id: string; response: { status_code: number; body: Answer } }[];
      }>();
      expect(data.map(({ custom_id: id }) => id)).toEqual(batch);
      for (const { custom_id: id, response } of data) {
        expect(response.status_code).toBe(200);
        expectCase(response.body, byId.get(id) as GreedyCase);
      }
    }
  });

  it("chooses an infix's first token as the reference does", async () => {
    const { shape, data } = reference.infixRows;
    const config = JSON.stringify({ peft_type: 'PREFIX_TUNING', task_type: 'CAUSAL_LM', num_virtual_tokens: shape[0] });
    const response = await upload(
      http,
      'infix',
      config,
      encodeSafetensors({ prompt_embeddings: { shape, data } }),
      'infix',
    );
    expect(response.statusCode, response.body).toBe(201);
    for (const { prompt, continuation, greedy_next: next, logits } of reference.infix) {
      const payload = {
        model: 'infix',
        prompt: [...prompt, continuation[0]],
        ...GREEDY,
        max_tokens: 1,
        ignore_eos: true,
      };
      const answer = (await http.inject({ method: 'POST', url: '/v1/completions', payload })).json<Answer>();
      expect(answer.choices[0]?.token_ids).toEqual([next[0]]);
      const row = logits[0] as number[];
      const logprob = Math.max(...row) - Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
      expect(Math.abs((answer.choices[0]?.logprobs.token_logprobs[0] as number) - logprob)).toBeLessThan(TOLERANCE);
    }
  });

  it.runIf(beamModels().includes(name))('searches with beams as Transformers does', async () => {
    for (const [adapter, beamCases] of beamGoldens(name)) {
      for (const testCase of beamCases) {
        const { prompt, num_beams: width, length_penalty: penalty, sequences, scores } = testCase;
        const payload = {
          model: adapter === 'base' ? name : adapter,
          prompt,
          use_beam_search: true,
          best_of: width,
          n: width - 1,
          length_penalty: penalty,
          max_tokens: testCase.max_new_tokens,
          stop_token_ids: [testCase.eos_token_id],
          ignore_eos: true,
          return_token_ids: true,
          logprobs: 0,
        };
        const response = await http.inject({ method: 'POST', url: '/v1/completions', payload });
        const { choices } = response.json<Answer>();
        expect(choices.map(({ token_ids: ids }) => ids)).toEqual(sequences.slice(0, -1));
        choices.forEach(({ token_ids: ids, logprobs, finish_reason: reason }, i) => {
          const logprob = logprobs.token_logprobs.reduce((sum, one) => sum + one, 0);
          expect(Math.abs(logprob / ids.length ** penalty - (scores[i] as number))).toBeLessThan(1e-4);
          expect(reason).toBe(ids.at(-1) === testCase.eos_token_id ? 'stop' : 'length');
        });
      }
    }
  });

  it('reads prompts as the reference tokenizer does', async () => {
    for (const { text, ids } of reference.tokenizer) {
      if (ids.length === 0) continue;
      const payload = { model: name, prompt: text, max_tokens: 0, return_token_ids: true };
      const answer = (await http.inject({ method: 'POST', url: '/v1/completions', payload })).json<Answer>();
      expect(answer.choices[0]?.prompt_token_ids, JSON.stringify(text)).toEqual(ids);
    }
  });
});
