import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, it, onTestFinished } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { freePort } from '../support/redis-server.js';

const dockerfile = (name: string): Promise<string> => readFile(join(packageRoot, 'docker', name), 'utf8');

/** Where the copies of the Dockerfile's last stage come from, and the command that it starts. */
function lastStage(text: string): { copied: string[]; command: string[] } {
  const stage = text.slice(text.lastIndexOf('\nFROM '));
  const copied = [...stage.matchAll(/^COPY (?:--from=build )?(.+) \S+$/gm)].flatMap(([, files = '']) =>
    files.split(' ').map((file) => file.replace(/^\/app\//, '')),
  );
  return { copied, command: JSON.parse(/^CMD (.+)$/m.exec(stage)?.[1] ?? '') as string[] };
}

/** The packages that are left after `npm prune --omit=dev`, by the lockfile. */
async function productionPackages(): Promise<string[]> {
  const lock = JSON.parse(await readFile(join(packageRoot, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>;
  };
  const kept = Object.entries(lock.packages).filter(([at, { dev }]) => at !== '' && !dev);
  return kept.map(([at]) => at).filter((at) => at.lastIndexOf('node_modules/') === 0);
}

it('what the image holds is enough for its start command', async () => {
  const { copied, command } = lastStage(await dockerfile('Dockerfile'));
  const root = await temporaryDirectory();
  const app = join(root, 'app');
  await mkdir(app);
  const paths = copied.filter((path) => path !== 'node_modules');
  for (const path of [...paths, ...(await productionPackages())]) {
    // Not installed: an optional package of another system.
    await cp(join(packageRoot, path), join(app, path), { recursive: true }).catch((error: NodeJS.ErrnoException) => {
      if (!path.startsWith('node_modules/')) throw error;
    });
  }
  await chmod(app, 0o555);
  const port = await freePort();
  const [, ...args] = command;
  const child = spawn(process.execPath, args, {
    cwd: app,
    env: {
      NODE_ENV: 'production',
      HOST: '0.0.0.0',
      PORT: String(port),
      PREAMBLE_API_KEYS: 'alice=a-key',
      PREAMBLE_CACHE: join(root, 'cache'),
      PREAMBLE_STORE: `file:${root}/store`,
      PREAMBLE_SLOTS: '2',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ready = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/readyz`)).status;
  await expect.poll(() => ready().catch(() => 0), { timeout: 40_000, interval: 200 }).toBe(200);
  const answer = await fetch(`http://127.0.0.1:${port}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer a-key' },
    body: JSON.stringify({ model: 'preamble-demo', prompt: 'The', max_tokens: 2 }),
  });
  expect(answer.status).toBe(200);
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  expect((await exited)[0]).toBe(0);
});

it('the CUDA image holds the same, and its own node', async () => {
  const [cpu, cuda] = [lastStage(await dockerfile('Dockerfile')), lastStage(await dockerfile('Dockerfile.cuda'))];
  expect(cuda).toEqual({ ...cpu, copied: ['/usr/local/bin/node', ...cpu.copied] });
});
