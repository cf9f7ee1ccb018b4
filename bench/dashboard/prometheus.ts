import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { findProgram } from '../../test/support/debian-program.js';
import { freePort } from '../../test/support/redis-process.js';
import { endChild, startChild } from '../process/child.js';

/** Samples of one series: Unix seconds and value. */
interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly points: readonly (readonly [number, number])[];
}

/** A Prometheus that runs. */
export interface Prometheus {
  /** Values of a PromQL query at each second between two Unix times, without those that are not numbers. */
  range(query: string, start: number, end: number): Promise<Series[]>;
  stop(): Promise<void>;
}

/**
 * Starts a real Prometheus that scrapes a server each second as the job `preamble`; Debian's if none is installed.
 * @param cache directory for the fetched program
 */
export async function startPrometheus(target: string, cache: string): Promise<Prometheus> {
  const wanted = { name: 'prometheus', package: 'prometheus', path: 'usr/bin/prometheus' };
  const { program } = await findProgram(wanted, cache);
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-prometheus-'));
  const job = { job_name: 'preamble', static_configs: [{ targets: [new URL(target).host] }] };
  // JSON is YAML.
  const config = JSON.stringify({ global: { scrape_interval: '1s' }, scrape_configs: [job] });
  await fs.writeFile(path.join(directory, 'prometheus.yml'), config);
  const address = `127.0.0.1:${await freePort()}`;
  const flags = ['--config.file=prometheus.yml', '--storage.tsdb.path=data', `--web.listen-address=${address}`];
  const child = startChild(program, flags, { cwd: directory, stdio: 'ignore' });
  for (let attempt = 0; !(await isReady(address)); attempt++) {
    if (attempt === 600 || child.exitCode !== null) throw new Error('prometheus does not start');
    await delay(100);
  }
  return {
    range: (query, start, end) => range(address, query, start, end),
    stop: async () => {
      await endChild(child);
      await fs.rm(directory, { recursive: true, force: true });
    },
  };
}

async function range(address: string, query: string, start: number, end: number): Promise<Series[]> {
  const parameters = new URLSearchParams({ query, start: String(start), end: String(end), step: '1' });
  const answer = await fetch(`http://${address}/api/v1/query_range?${parameters.toString()}`);
  if (!answer.ok) throw new Error(`${query}: ${await answer.text()}`);
  const { data } = (await answer.json()) as {
    data: { result: { metric: Record<string, string>; values: [number, string][] }[] };
  };
  return data.result.map(({ metric, values }) => ({
    labels: metric,
    points: values.map(([time, value]) => [time, Number(value)] as const).filter(([, value]) => Number.isFinite(value)),
  }));
}

function isReady(address: string): Promise<boolean> {
  return fetch(`http://${address}/-/ready`).then(
    ({ ok }) => ok,
    () => false,
  );
}
