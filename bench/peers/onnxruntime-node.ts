import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

import * as ort from 'onnxruntime-node';

import type { Gpt2Config } from '#src/model/gpt2/config.js';
import { type Manifest, readManifest } from '#src/model/compile/compiled-model.js';
import { cacheName } from './concat-graph.js';
import { answerRequests, type PeerAnswer, type PeerRequest } from './protocol.js';

/** The peer onnxruntime-node: its own JavaScript binding, and a graph that takes keys and values and returns longer ones. */
const { values } = parseArgs({
  options: {
    graph: { type: 'string', default: '' },
    compiled: { type: 'string', default: '' },
    threads: { type: 'string', default: '' },
  },
});
const manifest = (await readManifest(values.compiled)) as Manifest;
const config = manifest.config as Gpt2Config;
const session = await ort.InferenceSession.create(values.graph, { intraOpNumThreads: Number(values.threads) });
const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
await answerRequests({ versions: { 'onnxruntime-node': version } }, generate);

type Cache = Readonly<Record<string, ort.Tensor>>;

/** The prompts in one step, then a token of every row in each. All prompts are equally long. */
async function generate({ prompts, count }: PeerRequest): Promise<PeerAnswer> {
  const ids = prompts.map((): number[] => []);
  const times: number[] = [];
  let cache = emptyCache(config, prompts.length);
  let next = prompts;
  for (let past = 0; times.length < count; past += next[0]?.length ?? 0, next = ids.map((row) => row.slice(-1))) {
    const output = await session.run({ ...inputs(next, past), ...cache });
    cache = grown(output);
    (output['next_ids'] as ort.TypedTensor<'int64'>).data.forEach((id, row) => ids[row]?.push(Number(id)));
    times.push(performance.now());
  }
  return { ids, arrivals: prompts.map(() => times) };
}

/** `rows` are tokens of equally many positions, from position `past` on. */
function inputs(rows: readonly (readonly number[])[], past: number): Record<string, ort.Tensor> {
  const length = rows[0]?.length ?? 0;
  const total = past + length;
  const positions = rows.flatMap((row) => row.map((_, index) => past + index));
  const mask = new Float32Array(length * total);
  for (let token = 0; token < length; token++)
    mask.fill(-Infinity, token * total + past + token + 1, (token + 1) * total);
  const { heads, width } = config;
  return {
    ids: int64(rows.flat()),
    positions: int64(positions),
    layout: int64([rows.length, length, 3 * heads, width / heads]),
    keep: int64(rows.map((_, row) => (row + 1) * length - 1)),
    mask: new ort.Tensor('float32', mask, [length, total]),
  };
}

function int64(numbers: readonly number[]): ort.Tensor {
  return new ort.Tensor('int64', BigInt64Array.from(numbers, BigInt), [numbers.length]);
}

function emptyCache({ layers, heads, width }: Gpt2Config, rows: number): Cache {
  const empty = new ort.Tensor('float32', new Float32Array(0), [rows, heads, 0, width / heads]);
  const names = Array.from({ length: layers }, (_, layer) => [
    cacheName('past', layer, 0),
    cacheName('past', layer, 1),
  ]);
  return Object.fromEntries(names.flat().map((name) => [name, empty]));
}

/** Cache for the next step, from the outputs of the last step. */
function grown(output: Cache): Cache {
  const states = Object.entries(output).filter(([name]) => name.startsWith('present_'));
  return Object.fromEntries(states.map(([name, tensor]) => [name.replace('present_', 'past_'), tensor]));
}
