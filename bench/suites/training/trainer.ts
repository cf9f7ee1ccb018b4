import { parseArgs } from 'node:util';

import { type Manifest, readManifest } from '#src/model/compile/compiled-model.js';
import { rowWidth, selfRows, selfSite } from '#src/prefix/kv.js';
import { AdamW, clipScale } from '#src/tuning/training/adamw.js';
import type { TokenExample } from '#src/tuning/data/example.js';
import { tunedShape } from '#src/tuning/method.js';
import { runParts, stepParts } from '#src/tuning/training/step-parts.js';
import type { Values } from '#src/tuning/training/values.js';
import { takePriority } from '#src/tuning/priority.js';
import { TrainingModel } from '#src/tuning/training/training-model.js';
import { answerRequests, type TrainAnswer, type TrainRequest } from '../../peers/protocol.js';
import { threeSites } from '../../load/summaries.js';
import { PREFIX_LENGTH, randomPrefix, userName } from '../../load/workload.js';

/** Preamble's training of the first user's prefix, as a program that speaks the protocol of `protocol.ts`. */
const { values: flags } = parseArgs({
  options: {
    model: { type: 'string', default: '' },
    threads: { type: 'string', default: '' },
    spin: { type: 'string', default: '1' },
    background: { type: 'string', default: '0' },
  },
});

if (flags.background === '1') takePriority(19);
const manifest = (await readManifest(flags.model)) as Manifest;
const threads = Number(flags.threads);
const model = await TrainingModel.open({ directory: flags.model, manifest, threads, spin: flags.spin === '1' });
const decoderStart = model.generation?.decoderStart;
const shape = tunedShape(manifest.shape, { method: 'prefix', mlp: 0 }, PREFIX_LENGTH);
const user = userName(0);
const rows: Values = decoderStart
  ? threeSiteRows(user)
  : new Map([['rows', selfRows(randomPrefix(user, rowWidth(selfSite(manifest.shape))))]]);
const graph = await model.openLoss(shape, true);
const optimizer = new AdamW(rows);
let step = 0;
await answerRequests({ versions: { node: process.version } }, train);
await graph.dispose();
await model.dispose();

/** The example, with what the decoder of an encoder-decoder starts with. */
function withStart(example: TrainRequest['examples'][number]): TokenExample {
  return { ...example, start: decoderStart };
}

/** Rows of the prefix that a summarising user has in the bench. */
function threeSiteRows(name: string): Values {
  return new Map(Object.entries(threeSites(name)).map(([site, { data }]) => [`${site}.rows`, data] as const));
}

async function train({ examples, steps }: TrainRequest): Promise<TrainAnswer> {
  const start = performance.now();
  let loss = NaN;
  for (let end = step + steps; step < end;) {
    const { losses, gradients } = await runParts(
      graph,
      rows,
      stepParts(examples.map(withStart), manifest.shape, shape),
    );
    optimizer.step(gradients, ++step, 5e-5, clipScale(gradients, 1));
    loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
  }
  return { seconds: (performance.now() - start) / 1000, loss };
}
