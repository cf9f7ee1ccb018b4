import type { Engine } from '#src/engine/engine.js';
import { encodeKv } from '#src/prefix/adapter/kv-file.js';
import type { PrefixKv } from '#src/prefix/kv.js';
import type { AdapterContent } from './summaries.js';
import { streamTogether } from './stream-together.js';
import { rates, type Rates, type UserRequest } from './workload.js';

/** Generates for all requests at once. */
export type Target = (requests: readonly UserRequest[]) => Promise<Rates>;

/** Target that calls the engine, without HTTP and JSON. */
export function engineTarget(engine: Engine, prefixes: ReadonlyMap<string, PrefixKv>): Target {
  return async (requests) => {
    const start = performance.now();
    const rows = await Promise.all(requests.map((request) => generate(engine, prefixes.get(request.user), request)));
    return rates(
      start,
      rows.map(({ times }) => times),
    );
  };
}

/** Target that calls a server: one streamed completion for each user. */
export function serverTarget(address: string): Target {
  return async (requests) => {
    const bodies = requests.map(({ user, prompt, maxTokens }) => ({
      tokens: maxTokens,
      body: {
        model: user,
        prompt,
        max_tokens: maxTokens,
        temperature: 0,
        ignore_eos: true,
        stream: true,
        return_token_ids: true,
      },
    }));
    const start = performance.now();
    return rates(start, await streamTogether(`${address}/v1/completions`, bodies));
  };
}

/** Uploads a user's prefix. */
export async function uploadPrefix(address: string, user: string, prefix: PrefixKv): Promise<void> {
  await uploadAdapter(address, user, peftFiles(prefix));
}

/** Uploads the two files of an adapter. */
export async function uploadAdapter(address: string, name: string, { config, tensors }: AdapterContent): Promise<void> {
  const form = new FormData();
  form.set('name', name);
  form.set('adapter_config', new Blob([JSON.stringify(config)]), 'adapter_config.json');
  form.set('adapter_model', new Blob([tensors]), 'adapter_model.safetensors');
  const answer = await fetch(`${address}/v1/prefixes`, { method: 'POST', body: form });
  if (!answer.ok) throw new Error(`uploading ${name}: ${answer.status} ${await answer.text()}`);
}

/** A prefix as the two files that PEFT would have written: `adapter_config.json` and `adapter_model.safetensors`. */
export function peftFiles(kv: PrefixKv): AdapterContent {
  const config = { peft_type: 'PREFIX_TUNING', task_type: 'CAUSAL_LM', num_virtual_tokens: kv.length };
  return { config, tensors: encodeKv(kv) };
}

/** Generates greedily and returns the tokens and their times. */
export async function generate(
  engine: Engine,
  kv: PrefixKv | undefined,
  { prompt, maxTokens }: Pick<UserRequest, 'prompt' | 'maxTokens'>,
): Promise<{ ids: number[]; times: number[] }> {
  const ids: number[] = [];
  const times: number[] = [];
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
  for await (const event of generation) {
    if (event.type !== 'token') continue;
    ids.push(event.id);
    times.push(performance.now());
  }
  if (times.length !== maxTokens) throw new Error(`${times.length} tokens, not ${maxTokens}`);
  return { ids, times };
}
