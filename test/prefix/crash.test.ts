import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'vite';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import type { StoredFileName } from '../../src/prefix/store.js';
import { crashUpload, operationOf, REPAIRED, repairOf } from './crash-plan.js';
import { base } from './fixtures.js';

const KILLS = 25;
/** On a machine that is busy otherwise, fewer kills must do. */
const MAX_MS = 12_000;
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-crash-'));
let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(temporary, 'store-'));
});

beforeAll(async () => {
  // Node 20 runs no TypeScript: the child is bundled once, its packages beside it.
  await build({
    configFile: false,
    logLevel: 'silent',
    ssr: { noExternal: true },
    build: {
      ssr: fileURLToPath(new URL('crash-child.ts', import.meta.url)),
      outDir: path.join(temporary, 'child'),
      target: 'node20',
      rollupOptions: { output: { entryFileNames: 'child.mjs' } },
    },
  });
});
afterAll(() => fs.rmSync(temporary, { recursive: true }));

/** Numbers of the versions that a name has, oldest first. */
type State = ReadonlyMap<string, readonly number[]>;

/** Runs the child from operation `first` on and kills it `delayMs` after it began to work; what it said. */
async function runAndKill(
  first: number,
  delayMs: number,
  ...mode: readonly string[]
): Promise<{ done: number; started: number }> {
  const args = [path.join(temporary, 'child/child.mjs'), directory, String(first), ...mode];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    if (output === '') setTimeout(() => child.kill('SIGKILL'), delayMs);
    output += chunk.toString();
  });
  const signal = await new Promise((resolve) => child.once('close', (_, killedBy) => resolve(killedBy)));
  expect(signal).toBe('SIGKILL');
  const lines = output.split('\n').filter((line) => line !== '');
  const acknowledged = lines.filter((line) => line.endsWith(' done')).map((line) => Number.parseInt(line, 10));
  return { done: acknowledged.at(-1) ?? first - 1, started: Number.parseInt(lines.at(-1) ?? '', 10) };
}

function apply(state: State, number: number): State {
  const { kind, name } = operationOf(number);
  const next = new Map(state);
  if (kind === 'put') next.set(name, [...(state.get(name) ?? []), number]);
  else next.delete(name);
  return next;
}

/** What the store holds, every file of every version compared byte by byte. */
async function readState(): Promise<State> {
  const store = await DiskPrefixStore.open(directory, base.fingerprint);
  const state = new Map<string, number[]>();
  for (const { name } of (await store.list('t')).data) {
    const versions = (await store.get('t', name))?.versions ?? [];
    const numbers = versions.map(({ created }) => created - 1_700_000_000).reverse();
    state.set(name, numbers);
    for (const number of numbers) await checkWhole(store, name, number);
  }
  return state;
}

async function checkWhole(store: DiskPrefixStore, name: string, number: number): Promise<void> {
  const { info, files, kv } = crashUpload(name, number);
  const expected: [StoredFileName, Uint8Array | undefined][] = [
    ['adapter_config.json', files.config],
    ['adapter_model.safetensors', files.model],
    ['kv.safetensors', kv],
  ];
  for (const [file, bytes] of expected) {
    const stored = (await store.read('t', name, info.version, file)) ?? new Uint8Array();
    expect(Buffer.compare(stored, bytes as Uint8Array), `${name}, version ${number}, ${file}`).toBe(0);
  }
}

it(`loses and tears nothing when its process is killed up to ${KILLS} times`, async () => {
  let state: State = new Map();
  let next = 0;
  const deadline = Date.now() + MAX_MS;
  for (let kill = 0; kill < KILLS && Date.now() < deadline; kill++) {
    const { done, started } = await runAndKill(next, (kill * 13) % 101);
    for (let number = next; number <= done; number++) state = apply(state, number);
    const found = await readState();
    // The one operation that was not acknowledged may have happened or not, but not in part.
    const unsettled = started > done ? apply(state, started) : state;
    const sorted = (of: State): unknown => [...of].sort();
    expect([sorted(state), sorted(unsettled)]).toContainEqual(sorted(found));
    expect(fs.readdirSync(path.join(directory, '.tmp'))).toEqual([]);
    state = found;
    next = Math.max(done, started) + 1;
  }
  expect(next).toBeGreaterThan(5); // it did work between the kills
});

it('leaves a prefix damaged as it was or repaired when its process is killed up to 10 times', async () => {
  const uploads = Array.from({ length: REPAIRED }, (_, number) => repairOf(number));
  const filled = await DiskPrefixStore.open(directory, base.fingerprint);
  for (const upload of uploads) await filled.put('t', upload);
  const deadline = Date.now() + MAX_MS;
  for (let kill = 0, next = 0; kill < 10 && Date.now() < deadline; kill++) {
    next = (await runAndKill(next, (kill * 13) % 101, 'repair')).started + 1;
    const store = await DiskPrefixStore.open(directory, base.fingerprint);
    expect(fs.readdirSync(path.join(directory, '.tmp'))).toEqual([]);
    for (const [number, upload] of uploads.entries()) {
      const { info, files } = upload;
      const read = (file: StoredFileName) => store.read('t', info.name, info.version, file);
      expect(await store.get('t', info.name)).toEqual({ ...info, versions: [info] });
      expect(await read('adapter_config.json')).toEqual(Buffer.from(files.config));
      expect(await read('adapter_model.safetensors')).toEqual(Buffer.from(files.model));
      expect(await store.put('t', upload)).toEqual({ record: info, created: false });
      await checkWhole(store, info.name, number);
    }
  }
});
