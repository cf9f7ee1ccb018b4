import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { packageRoot } from '#src/config/paths.js';
import { compileModel, type Manifest, readManifest } from '#src/model/compile/compiled-model.js';
import { baseModel } from '#src/model/model.js';
import { type BaseModel, rowWidth, selfKv, selfSite } from '#src/prefix/kv.js';
import { findProgram } from '../../../test/support/debian-program.js';
import { RedisProcess, redisProgram } from '../../../test/support/redis-process.js';
import { randomModel, type Shape } from '../../inputs/random-model.js';
import type { BenchContext, Finding, Suite } from '../../suite.js';
import { fillDirectory, fillRedis } from './fill-store.js';
import { ServerProcess } from '../../process/server-process.js';
import { randomTokens, timeToFirstToken } from '../../load/token-stream.js';
import { uploadPrefix } from '../../load/targets.js';
import { median } from '../../report/statistics.js';

/** A tiny model: 100,000 prefixes of a 124M model would be 7 GB, and the cost of a store does not depend on the model. */
const TINY: Shape = { layers: 2, width: 64, heads: 2, contextLength: 1024 };
const FEW = 10;
const MANY = 100_000;
/** Names of the prefixes; both stores have the first `FEW`, which are the ones requested. */
const NAMES = Array.from({ length: MANY }, (_, index) => `users/${index}`);
/** Prefixes that fit into memory: fewer than `FEW`, so that requests for all names in turn always find their prefix dropped. */
const CACHED = 5;
const SAMPLES = { 'warm request': 60, 'cold request': 60, 'list page': 20, upload: 10 } as const;

type Call = keyof typeof SAMPLES;
/** Median milliseconds of each call, and MiB resident afterwards. */
type Costs = Readonly<Record<Call | 'resident', number>>;
type Kind = 'file' | 'Redis';

/** A filled store and a server that uses it. */
interface Subject {
  readonly server: ServerProcess;
  close(): Promise<void>;
}

/** Cost of many stored prefixes for requests that use a few of them. */
export const storeSize: Suite = {
  name: 'store-size',
  question: `What do ${MANY} stored prefixes cost, over ${FEW}? (a tiny model)`,
  async run(context) {
    const checkpoint = await randomModel(path.dirname(context.checkpoint), TINY);
    const model = await compileModel({ source: checkpoint, cache: context.cache });
    const base = baseModel('model', (await readManifest(model)) as Manifest);
    const findings: Finding[] = [];
    for (const kind of ['file', 'Redis'] as const) findings.push(...(await measureKind(kind, model, base, context)));
    return findings;
  },
};

async function measureKind(kind: Kind, model: string, base: BaseModel, context: BenchContext): Promise<Finding[]> {
  const open = kind === 'file' ? openDirectory : openRedis;
  const subjects: Subject[] = [];
  try {
    for (const count of [FEW, MANY]) {
      context.log(`${kind}: storing ${count} prefixes`);
      subjects.push(await open(model, base, NAMES.slice(0, count)));
    }
    const [few, many] = subjects.map(({ server }) => server.url) as [string, string];
    const rounds: { few: Costs; many: Costs }[] = [];
    for (let round = 0; round <= context.options.repeats; round++) {
      const [ofFew, ofMany] = [await measureCalls(few, base), await measureCalls(many, base)];
      const resident = await Promise.all(subjects.map(async ({ server }) => (await server.resident()).total));
      const costs = {
        few: { ...ofFew, resident: resident[0] as number },
        many: { ...ofMany, resident: resident[1] as number },
      };
      context.log(`${round === 0 ? 'warm-up' : `round ${round}`}  ${kind}  ${describe(costs)}`);
      if (round > 0) rounds.push(costs);
    }
    return toFindings(kind, rounds);
  } finally {
    for (const subject of subjects) await subject.close();
  }
}

async function openDirectory(model: string, base: BaseModel, names: readonly string[]): Promise<Subject> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-bench-'));
  const remove = (): Promise<void> => fs.rm(directory, { recursive: true });
  try {
    await fillDirectory(directory, base, names);
    const server = await startServer(model, base, `file:${directory}`);
    return { server, close: () => server.stop().finally(remove) };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function openRedis(model: string, base: BaseModel, names: readonly string[]): Promise<Subject> {
  const found = await findProgram(redisProgram, path.join(packageRoot, 'test/.cache'));
  const redis = await RedisProcess.start(found, ['--appendonly', 'no']);
  try {
    await fillRedis(redis.url, base, names);
    const server = await startServer(model, base, redis.url);
    return { server, close: () => server.stop().finally(() => redis.stop()) };
  } catch (error) {
    await redis.stop();
    throw error;
  }
}

function startServer(model: string, base: BaseModel, store: string): Promise<ServerProcess> {
  const bytes = rowWidth(selfSite(base)) * Float32Array.BYTES_PER_ELEMENT;
  return ServerProcess.start({
    PREAMBLE_MODEL: model,
    PREAMBLE_STORE: store,
    PREAMBLE_PREFIX_CACHE_BYTES: String(CACHED * bytes),
    PREAMBLE_THREADS: '1',
  });
}

async function measureCalls(url: string, base: BaseModel): Promise<Omit<Costs, 'resident'>> {
  const complete = async (index: number): Promise<number> => {
    const ask = { model: NAMES[index % FEW] as string, prompt: randomTokens('prompt', 4), maxTokens: 1 };
    return timeToFirstToken(url, ask);
  };
  return {
    'cold request': await medianOf(SAMPLES['cold request'], complete),
    'warm request': await medianOf(SAMPLES['warm request'], () => complete(0)),
    'list page': await medianOf(SAMPLES['list page'], () => timed(() => list(url))),
    upload: await medianOf(SAMPLES.upload, (index) => uploadAndDelete(url, `new/${index}`, base)),
  };
}

async function medianOf(samples: number, measure: (index: number) => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let index = 0; index < samples; index++) values.push(await measure(index));
  return median(values);
}

/** Requests a page of the list that both stores have, and that is the first page of neither. */
async function list(url: string): Promise<void> {
  const answer = await fetch(`${url}/v1/prefixes?limit=5&after=${encodeURIComponent('users/1')}`);
  const { data } = (await answer.json()) as { data: unknown[] };
  if (data.length !== 5) throw new Error(`${data.length} prefixes, not 5`);
}

/** Milliseconds of an upload; the deletion after it is not timed. */
async function uploadAndDelete(url: string, name: string, base: BaseModel): Promise<number> {
  const kv = selfKv(1, new Float32Array(rowWidth(selfSite(base))).fill(1));
  const taken = await timed(() => uploadPrefix(url, name, kv));
  const answer = await fetch(`${url}/v1/prefixes/${encodeURIComponent(name)}`, { method: 'DELETE' });
  if (!answer.ok) throw new Error(`deleting ${name}: ${answer.status}`);
  return taken;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

function describe({ few, many }: { few: Costs; many: Costs }): string {
  const calls = Object.keys(SAMPLES) as Call[];
  const times = calls.map((call) => `${call} ${few[call].toFixed(2)} and ${many[call].toFixed(2)} ms`);
  return `${times.join(', ')}; ${few.resident.toFixed(0)} and ${many.resident.toFixed(0)} MiB`;
}

function toFindings(store: Kind, rounds: readonly { few: Costs; many: Costs }[]): Finding[] {
  const costs = [...(Object.keys(SAMPLES) as Call[]), 'resident'] as const;
  return costs.flatMap((cost): Finding[] => {
    const what = cost === 'resident' ? 'resident memory' : cost;
    const unit = cost === 'resident' ? 'MiB' : 'ms';
    return [
      { what, at: { store, stored: FEW }, unit, values: rounds.map(({ few }) => few[cost]) },
      { what, at: { store, stored: MANY }, unit, values: rounds.map(({ many }) => many[cost]) },
      {
        what: `${what}, ${MANY} over ${FEW}`,
        at: { store },
        unit: 'x',
        values: rounds.map(({ few, many }) => many[cost] / few[cost]),
        goal: { id: 'P8', atMost: 1.05 },
      },
    ];
  });
}
