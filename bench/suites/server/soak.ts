import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';

import { bundledModel } from '#src/config/paths.js';
import { type ServerProcess, startServer } from '../../process/server-process.js';
import { median } from '../../report/statistics.js';
import type { BenchContext, Figure, Finding, Suite } from '../../suite.js';
import { readCounts, soak as load, type SoakOptions, uploadTexts } from '../../load/soak-load.js';

const CLIENTS = 200;
const SECONDS = 120;
/** Seconds after which the server counts as warm. */
const WARM = 30;
/** Seconds of load before the other build's turn, for `--beside`. */
const TURN_SECONDS = 15;
const PREFIXES = 64;
/** Tokens of the longest answer. */
const TOKENS = 128;
/** Seconds over which a median is taken: between garbage collections, memory rises for several seconds. */
const WINDOW = 20;
const PROGRAM = fileURLToPath(new URL('./soak-server.js', import.meta.url));

/** Resident memory of a server under steady load, and whether its accounts and `/metrics` are right afterwards. */
export const soak: Suite = {
  name: 'soak',
  question: `Is memory flat under ${CLIENTS} streams for ${SECONDS} s, and do /metrics and the clients count the same?`,
  async run(context) {
    const settings = { PREAMBLE_MODEL: bundledModel, PREAMBLE_LOG_LEVEL: 'error', PREAMBLE_SPECULATE: 'on' };
    const server = await startServer(context, settings, PROGRAM);
    const measured = await measure(server, context).finally(() => server.stop());
    if (server.exitStatus !== 0) throw new Error('checkIntegrity failed');
    return measured;
  },
  async open(context) {
    const server = await startServer(context, { PREAMBLE_MODEL: bundledModel });
    const prefixes: string[] = [];
    await server.prepare(async (url) => void prefixes.push(...(await uploadTexts(url, PREFIXES))));
    return { steps: [() => measureTurn(server, prefixes)], close: () => server.stop() };
  },
};

/** Figures of a few seconds of the same load. */
async function measureTurn(server: ServerProcess, prefixes: readonly string[]): Promise<Figure[]> {
  const [begin, cpuBefore] = [performance.now(), await server.cpuSeconds()];
  const counted = await load(server.url, loadUntil(begin + TURN_SECONDS * 1000, prefixes));
  const [seconds, cpu] = [(performance.now() - begin) / 1000, (await server.cpuSeconds()) - cpuBefore];
  return [
    { what: 'requests', unit: 'req/s', value: counted.requests / seconds },
    { what: 'tokens', unit: 'tok/s', value: counted.generatedTokens / seconds },
    { what: 'CPU time per token', unit: 'ms', value: (1000 * cpu) / counted.generatedTokens },
    { what: 'resident afterwards', unit: 'MiB', value: (await server.resident()).total },
  ];
}

function loadUntil(until: number, prefixes: readonly string[]): SoakOptions {
  return { clients: CLIENTS, until, models: ['preamble-demo', ...prefixes], tokens: TOKENS };
}

async function measure(server: ServerProcess, { log }: BenchContext): Promise<Finding[]> {
  const prefixes = await uploadTexts(server.url, PREFIXES);
  const samples: number[] = [];
  const begin = performance.now();
  const watch = setInterval(() => void server.resident().then(({ total }) => samples.push(total)), 1000);
  const until = begin + SECONDS * 1000;
  const counted = await load(server.url, loadUntil(until, prefixes));
  const seconds = (performance.now() - begin) / 1000;
  clearInterval(watch);
  const told = await readCounts(server.url);
  log(`clients   ${JSON.stringify(counted)}\n/metrics  ${JSON.stringify(told)}`);
  const tenths = samples.filter((_, second) => second % 10 === 9).map(Math.round);
  log(`resident memory every ten seconds, MiB: ${tenths.join(' ')}`);
  if (!isDeepStrictEqual(told, counted)) throw new Error('/metrics and the clients have counted differently');
  return findings(samples, counted.requests / seconds, counted.generatedTokens / seconds);
}

function findings(samples: readonly number[], requests: number, tokens: number): Finding[] {
  const [warm, end] = [median(samples.slice(WARM, WARM + WINDOW)), median(samples.slice(SECONDS - WINDOW, SECONDS))];
  return [
    { what: 'requests', unit: 'req/s', values: [requests] },
    { what: 'tokens', unit: 'tok/s', values: [tokens] },
    { what: `resident after ${WARM} s`, unit: 'MiB', values: [warm] },
    { what: 'resident at the end', unit: 'MiB', values: [end] },
    {
      what: `resident at the end over after ${WARM} s`,
      unit: 'x',
      values: [end / warm],
      goal: { id: 'P15', atMost: 1.02 },
    },
  ];
}
