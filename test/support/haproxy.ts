import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { inject, onTestFinished } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { freePort } from './redis-server.js';

const file = join(packageRoot, 'docker/haproxy/haproxy.cfg');

/** A HAProxy that runs. */
export interface Haproxy {
  readonly url: string;
  /** How many replicas it takes for ready. */
  ready(): Promise<number>;
  /** How many requests it counts as the replicas' load. */
  serving(): Promise<number>;
}

/** Starts HAProxy with the configuration that is shipped, in front of two addresses; ended when the test is over. */
export async function startHaproxy([a = '', b = '']: readonly string[]): Promise<Haproxy> {
  const haproxy = inject('haproxy');
  if (haproxy === null) throw new Error('there is no haproxy');
  const { program, libraries } = haproxy;
  const [listen, stats] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const replicas = { PREAMBLE_REPLICA_A: a, PREAMBLE_REPLICA_B: b };
  const env = { PREAMBLE_LISTEN: listen, PREAMBLE_STATS: stats, ...replicas, LD_LIBRARY_PATH: libraries };
  const checked = spawnSync(program, ['-c', '-f', file], { env, encoding: 'utf8' });
  if (checked.status !== 0 || checked.stderr.includes('WARNING')) throw new Error(checked.stderr);
  const child = spawn(program, ['-db', '-f', file], { env, stdio: 'ignore' });
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const url = `http://${listen}`;
  const running: Haproxy = {
    url,
    ready: () => sample(stats, 'active_servers'),
    serving: () => sample(stats, 'current_sessions'),
  };
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await fetch(`${url}/readyz`).then(({ ok }) => ok, () => false)) return running; // prettier-ignore
    await delay(50);
  }
  throw new Error('no replica is ready behind HAProxy');
}

/** A number that HAProxy tells Prometheus about all replicas. */
async function sample(stats: string, name: string): Promise<number> {
  const text = await (await fetch(`http://${stats}/metrics`)).text();
  return Number(new RegExp(`^haproxy_backend_${name}\\{proxy="replicas"\\} (\\d+)$`, 'm').exec(text)?.[1]);
}
