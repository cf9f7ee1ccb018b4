import { parseArgs } from 'node:util';

import { type Manifest, readManifest } from '#src/model/compile/compiled-model.js';
import { selfRows } from '#src/prefix/kv.js';
import { AdamW, clipScale } from '#src/tuning/training/adamw.js';
import { makeBatch } from '#src/tuning/training/batch.js';
import { takePriority } from '#src/tuning/priority.js';
import { TrainingModel } from '#src/tuning/training/training-model.js';
import { answerRequests, type TrainAnswer, type TrainRequest } from '../../peers/protocol.js';
import { PREFIX_COLUMNS, PREFIX_LENGTH, randomPrefix, userName } from '../../load/workload.js';

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
const shape = { method: 'prefix', length: PREFIX_LENGTH, mlp: 0 } as const;
const rows = new Map([['rows', selfRows(randomPrefix(userName(0), PREFIX_COLUMNS))] as const]);
const graph = await model.openLoss(shape, true);
const optimizer = new AdamW(rows);
let step = 0;
await answerRequests({ versions: { node: process.version } }, train);
await graph.dispose();
await model.dispose();

async function train({ examples, steps }: TrainRequest): Promise<TrainAnswer> {
  const start = performance.now();
  let loss = NaN;
  for (let end = step + steps; step < end;) {
    const { losses, gradients } = await graph.run(rows, makeBatch(examples, manifest.shape, shape));
    optimizer.step(gradients, ++step, 5e-5, clipScale(gradients, 1));
    loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
  }
  return { seconds: (performance.now() - start) / 1000, loss };
}
