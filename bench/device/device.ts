import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { readConfig } from '#src/config/config.js';
import { packageRoot } from '#src/config/paths.js';
import { precisions } from '#src/config/rules.js';
import { openModel } from '#src/model/model.js';
import { rowWidth, selfKv, selfSite } from '#src/prefix/kv.js';
import { randomModel, uniform } from '../inputs/random-model.js';

/**
 * Tokens per second of the engine's runner on one provider, each row with a prefix of its own, GPT-2 124M's shape; and with
 * `--python`, those of Transformers and PEFT on the same machine's GPU (`bench/device/device_peft.py`), and the ratio. docs/devices.md
 * says how to run it.
 */
const { values: options } = parseArgs({
  options: {
    provider: { type: 'string', default: 'cuda' },
    rows: { type: 'string', default: '64' },
    steps: { type: 'string', default: '128' },
    length: { type: 'string', default: '20' },
    weights: { type: 'string' },
    kv: { type: 'string' },
    /** A Python with PyTorch, Transformers and PEFT. */
    python: { type: 'string' },
    /** Checkpoint to use instead of random weights. */
    model: { type: 'string' },
  },
});
const PROMPT_TOKENS = 16;
const REPEATS = 3;
const [rows, steps, length] = [options.rows, options.steps, options.length].map(Number) as [number, number, number];

// The server's own rules, so that a setting is refused here if the server refuses it.
const config = readConfig({
  PREAMBLE_PROVIDER: options.provider,
  PREAMBLE_WEIGHTS: options.weights,
  PREAMBLE_KV: options.kv,
});
const cache = path.join(packageRoot, 'bench/.cache');
const source = options.model ?? (await randomModel(cache));
const ours = await measure();
console.log(JSON.stringify({ what: 'preamble', provider: config.provider, rows, steps, ...ours }));
if (options.python !== undefined) {
  const script = path.join(packageRoot, 'bench/device/device_peft.py');
  const args = [script, source, '--rows', String(rows), '--steps', String(steps), '--length', String(length)];
  const theirs = JSON.parse(execFileSync(options.python, args, { encoding: 'utf8' })) as { tokensPerSecond: number };
  console.log(JSON.stringify({ what: 'transformers + peft', rows, steps, ...theirs }));
  console.log(JSON.stringify({ what: 'ratio', value: ours.tokensPerSecond / theirs.tokensPerSecond }));
}

async function measure(): Promise<{ tokensPerSecond: number; all: number[]; weights: string; kv: string }> {
  const precision = precisions(config);
  const model = await openModel({
    source,
    cache: path.join(cache, 'compiled'),
    slots: rows,
    threads: config.threads,
    provider: config.provider,
    ...precision,
  });
  try {
    const { contextLength } = model.base;
    const columns = rowWidth(selfSite(model.base));
    if (length + PROMPT_TOKENS + steps > contextLength) throw new Error(`the context is ${contextLength}`);
    const all: number[] = [];
    for (let repeat = 0; repeat < REPEATS + 1; repeat++) {
      let next = await prefill();
      const start = performance.now();
      for (let step = 0; step < steps; step++) {
        const past = length + PROMPT_TOKENS + step;
        const spans = next.map(
          (token, slot) => ({ slot, tokens: [token], past, logits: 'last', temperature: 1 }) as const,
        );
        next = [...(await model.runner.step({ rows: spans, topK: 1 })).topIds];
      }
      all.push((rows * steps * 1000) / (performance.now() - start));
    }
    all.shift(); // warm-up
    const median = [...all].sort((a, b) => a - b)[all.length >> 1] as number;
    return { tokensPerSecond: median, all, ...precision };

    async function prefill(): Promise<number[]> {
      const first: number[] = [];
      for (let slot = 0; slot < rows; slot++) {
        const random = uniform(slot);
        const values = Float32Array.from({ length: length * columns }, () => 0.3 * random());
        await model.runner.append(slot, 0, selfKv(length, values));
        const tokens = Array.from({ length: PROMPT_TOKENS }, (_, i) => (slot * 7 + i * i * 3) % 200);
        const chunk = { slot, tokens, past: length, logits: 'last', temperature: 1 } as const;
        first.push((await model.runner.step({ rows: [chunk], topK: 1 })).topIds[0] as number);
      }
      return first;
    }
  } finally {
    await model.dispose();
  }
}
