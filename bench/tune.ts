import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { packageRoot, readConfig } from '#src/config.js';
import { compileModel, type Manifest, readManifest } from '#src/model/compiled-model.js';
import { AdamW, clipScale } from '#src/tuning/adamw.js';
import { makeBatch } from '#src/tuning/batch.js';
import { initialValues } from '#src/tuning/initial-values.js';
import { RandomStream } from '#src/tuning/random-stream.js';
import { TrainingModel } from '#src/tuning/training-model.js';
import { randomModel } from './random-model.js';

/** Tokens per second and peak memory of training a prefix on GPT-2 124M's shape; `bench/tune_peft.py` is its counterpart. */
const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '10' },
    tokens: { type: 'string', default: '64' },
    steps: { type: 'string', default: '8' },
    length: { type: 'string', default: '20' },
    'model-only': { type: 'boolean', default: false },
  },
});
const WARMUP_STEPS = 2;
const [rows, tokens, steps, length] = [options.rows, options.tokens, options.steps, options.length].map(Number) as [
  number,
  number,
  number,
  number,
];

const source = await randomModel(path.join(packageRoot, 'bench/.cache'));
const directory = await compileModel({ source, cache: path.join(packageRoot, 'bench/.cache/compiled') });
if (options['model-only']) console.log(source);
else await measure();

async function measure(): Promise<void> {
  const { threads } = readConfig();
  const model = await TrainingModel.open({ directory, manifest: (await readManifest(directory)) as Manifest, threads });
  const { config } = model.options.manifest;
  const shape = { method: 'prefix', length, mlp: 0 } as const;
  const random = new RandomStream(1, 0);
  const ids = (count: number): number[] => Array.from({ length: count }, () => random.below(config.vocabularySize));
  // Every position is learned: a source of one token, and `tokens` targets.
  const examples = Array.from({ length: rows }, () => ({ source: ids(1), target: ids(tokens) }));
  const batch = makeBatch(examples, config, shape);
  const values = initialValues({ config, shape, random, tokenEmbeddings: model.tokenEmbeddings });
  const optimizer = new AdamW(values);
  const graph = await model.openLoss(shape, true);
  let start = 0;
  for (let step = 0; step < WARMUP_STEPS + steps; step++) {
    if (step === WARMUP_STEPS) start = performance.now();
    const { gradients } = await graph.run(values, batch);
    optimizer.step(gradients, step + 1, 5e-5, clipScale(gradients, 1));
  }
  const seconds = (performance.now() - start) / 1000;
  await graph.dispose();
  await model.dispose();
  const peak = await peakMiB();
  console.log(JSON.stringify({ threads, rows, tokens, tokens_per_second: (steps * batch.tokens) / seconds, ...peak }));
}

/** Peak resident memory, where the system tells; mapped weights are in it. */
async function peakMiB(): Promise<{ peak_mib: number } | object> {
  if (os.platform() !== 'linux') return {};
  const status = await fs.readFile('/proc/self/status', 'utf8');
  return { peak_mib: Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024) };
}
