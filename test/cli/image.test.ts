import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, it, onTestFinished } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { freePort } from '../support/redis-server.js';

const dockerfile = (name: string): Promise<string> => readFile(join(packageRoot, 'docker', name), 'utf8');

interface Stage {
  /** Where its files come from. */
  readonly copied: string[];
  readonly env: Record<string, string>;
  /** The command that a container starts. */
  readonly command: string[];
}

/** The Dockerfile's last stage. */
function lastStage(text: string): Stage {
  const stage = text.slice(text.lastIndexOf('\nFROM '));
  const copied = [...stage.matchAll(/^COPY (?:--from=build )?(.+) \S+$/gm)].flatMap(([, files = '']) =>
    files.split(' ').map((file) => file.replace(/^\/app\//, '')),
  );
  const variables = /^ENV (.+)$/m.exec(stage)?.[1]?.split(' ') ?? [];
  const env = Object.fromEntries(variables.map((pair) => pair.split(/=(.*)/s, 2) as [string, string]));
  return { copied, env, command: JSON.parse(/^CMD (.+)$/m.exec(stage)?.[1] ?? '') as string[] };
}

/** The packages that are left after `npm prune --omit=dev`, by the lockfile. */
async function productionPackages(): Promise<string[]> {
  const lock = JSON.parse(await readFile(join(packageRoot, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>;
  };
  const kept = Object.entries(lock.packages).filter(([at, { dev }]) => at !== '' && !dev);
  return kept.map(([at]) => at).filter((at) => at.lastIndexOf('node_modules/') === 0);
}

/** The image's tree and environment, with its volumes in a temporary directory, and the name of its start script. */
async function unpack(): Promise<{ app: string; root: string; env: Record<string, string>; args: string[] }> {
  const { copied, env, command } = lastStage(await dockerfile('Dockerfile'));
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
  expect(env).toMatchObject({ PREAMBLE_CACHE: '/cache', PREAMBLE_STORE: 'file:/store' });
  const volumes = { PREAMBLE_CACHE: join(root, 'cache'), PREAMBLE_STORE: `file:${root}/store` };
  return { app, root, env: { ...env, ...volumes }, args: command.slice(1) };
}

/** A call that README.md makes with curl. */
interface Call {
  readonly path: string;
  readonly body: string;
}

/** README's first calls: a completion with a bundled prefix, and a batch of several. */
async function firstCalls(): Promise<Call[]> {
  const readme = await readFile(join(packageRoot, 'README.md'), 'utf8');
  const curl =
    /curl -s http:\/\/127\.0\.0\.1:8000(\S+completions) -H 'content-type: application\/json'[\s\\]+-d '([^']+)'/g;
  const calls = [...readme.matchAll(curl)].map(([, path = '', body = '']) => ({ path, body }));
  return calls.slice(0, 2); // the next is about a prefix that its reader has made
}

it("what the image holds, with its environment, serves README's first calls", async () => {
  const { app, env, args } = await unpack();
  const port = await freePort();
  const child = spawn(process.execPath, args, {
    cwd: app,
    env: { ...env, PORT: String(port), PREAMBLE_API_KEYS: 'alice=a-key', PREAMBLE_SLOTS: '2' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ready = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/readyz`)).status;
  await expect.poll(() => ready().catch(() => 0), { timeout: 40_000, interval: 200 }).toBe(200);
  const calls = await firstCalls();
  expect(calls.map(({ path }) => path)).toEqual(['/v1/completions', '/v1/batch/completions']);
  for (const { path, body } of calls) {
    const headers = { 'content-type': 'application/json', authorization: 'Bearer a-key' };
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body });
    expect(answer.status).toBe(200);
    const { data = [] } = (await answer.json()) as { data?: { response: { status_code: number } }[] };
    const { requests = [] } = JSON.parse(body) as { requests?: object[] };
    expect(data.map(({ response }) => response.status_code)).toEqual(requests.map(() => 200));
  }
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  expect((await exited)[0]).toBe(0);
});

it('every command runs with what the image holds and its environment', async () => {
  const { app, root, env } = await unpack();
  const preamble = async (...args: string[]): Promise<string> => {
    const program = [join(app, 'dist/cli/main.js'), ...args];
    return (await promisify(execFile)(process.execPath, program, { cwd: root, env })).stdout;
  };
  const data = join(root, 'data.jsonl');
  await writeFile(data, `${JSON.stringify({ prompt: 'About tea\n', completion: 'Tea is hot' })}\n`);
  expect(await preamble('import-model', join(app, 'models/preamble-demo'))).toContain(join(root, 'cache'));
  const out = join(root, 'out');
  expect(await preamble('tune', '--train', data, '--out', out, '--max-steps', '1', '--mlp', '0')).toContain('Trained');
  expect(await preamble('evaluate', '--data', data, '--prefix', out, '--loss-only')).toContain(out);
});

it('the CUDA image holds the same, and its own node', async () => {
  const [cpu, cuda] = [lastStage(await dockerfile('Dockerfile')), lastStage(await dockerfile('Dockerfile.cuda'))];
  expect(cuda).toEqual({
    ...cpu,
    copied: ['/usr/local/bin/node', ...cpu.copied],
    env: { ...cpu.env, PREAMBLE_PROVIDER: 'cuda' },
  });
});
