import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

import type { Engine } from '#src/engine/engine.js';
import type { PrefixKv } from '#src/prefix/kv.js';
import { encodeSafetensors } from '#src/safetensors/index.js';
import { rates, type Rates, type UserRequest } from './workload.js';

/** Something that generates: runs all requests at once. */
export type Target = (requests: readonly UserRequest[]) => Promise<Rates>;

/** The engine alone: no HTTP, no JSON. */
export function engineTarget(engine: Engine, prefixes: ReadonlyMap<string, PrefixKv>): Target {
  return together(async ({ user, prompt, maxTokens }, onToken) => {
    const kv = prefixes.get(user);
    const generation = engine.submit({
      tenant: 'default',
      prompt,
      prefix: kv && { kv, placement: 'prefix' },
      sampling: { temperature: 0, topP: 1, topK: 0, seed: undefined },
      choice: 0,
      maxTokens,
      minTokens: 0,
      stop: [],
      stopTokenIds: [],
      ignoreEos: true,
      logprobs: undefined,
    });
    for await (const event of generation) if (event.type === 'token') onToken();
  });
}

/** The whole server: one streamed completion for each user, over sockets. */
export function serverTarget(address: string): Target {
  return together(async ({ user, prompt, maxTokens }, onToken) => {
    const body = { model: user, prompt, max_tokens: maxTokens, temperature: 0, ignore_eos: true, stream: true };
    for await (const line of post(`${address}/v1/completions`, { ...body, return_token_ids: true })) {
      if (!line.startsWith('data: {')) continue;
      const chunk = JSON.parse(line.slice('data: '.length)) as {
        choices?: { token_ids?: number[] }[];
        error?: unknown;
      };
      if (chunk.error) throw new Error(line);
      for (const choice of chunk.choices ?? []) choice.token_ids?.forEach(onToken);
    }
  });
}

/** Uploads a user's prefix as the two files that PEFT would have written. */
export async function uploadPrefix(address: string, user: string, { length, rows }: PrefixKv): Promise<void> {
  const config = { peft_type: 'PREFIX_TUNING', task_type: 'CAUSAL_LM', num_virtual_tokens: length };
  const form = new FormData();
  form.set('name', user);
  form.set('adapter_config', new Blob([JSON.stringify(config)]), 'adapter_config.json');
  const tensors = { prompt_embeddings: { shape: [length, rows.length / length], data: rows } };
  form.set('adapter_model', new Blob([encodeSafetensors(tensors)]), 'adapter_model.safetensors');
  const answer = await fetch(`${address}/v1/prefixes`, { method: 'POST', body: form });
  if (!answer.ok) throw new Error(`uploading ${user}: ${answer.status} ${await answer.text()}`);
}

type Generate = (request: UserRequest, onToken: () => void) => Promise<void>;

/** Starts every request at once and notes when its tokens arrive. */
function together(generate: Generate): Target {
  return async (requests) => {
    const start = performance.now();
    const arrivals = await Promise.all(
      requests.map(async (request) => {
        const times: number[] = [];
        await generate(request, () => times.push(performance.now()));
        if (times.length !== request.maxTokens) throw new Error(`${times.length} tokens, not ${request.maxTokens}`);
        return times;
      }),
    );
    return rates(start, arrivals);
  };
}

/** Node's plain client: it costs less than `fetch`, and it shares a thread with what is measured. */
async function* post(url: string, body: object): AsyncGenerator<string> {
  const outgoing = request(url, { method: 'POST', headers: { 'content-type': 'application/json' }, agent: false });
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject);
  });
  outgoing.end(JSON.stringify(body));
  const incoming = await response;
  if (incoming.statusCode !== 200) throw new Error(`${incoming.statusCode}: ${await text(incoming)}`);
  yield* createInterface({ input: incoming });
}
