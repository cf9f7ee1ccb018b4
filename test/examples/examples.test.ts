import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { beforeAll, describe, expect, it } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { send } from '../support/http.js';
import { realServer, uploadBundled } from '../support/real-server.js';

const run = promisify(execFile);
/** Kept between runs, because it comes over the network. */
const venv = join(packageRoot, 'test/.cache/python-venv');
const venvPython = join(venv, 'bin/python');
const OPENAI = 'openai==3.54.0';

async function works(command: string, ...args: string[]): Promise<boolean> {
  return run(command, args).then(
    () => true,
    () => false,
  );
}

/** Makes the environment for the Python client, once. */
async function preparePython(): Promise<boolean> {
  if (await works(venvPython, '-c', 'import openai')) return true;
  if (!(await works('python3', '-m', 'venv', venv))) return false;
  return works(venvPython, '-m', 'pip', 'install', '--quiet', '--retries', '0', '--timeout', '10', OPENAI);
}

/** Runs an example against a server with keys and the bundled prefixes, and returns what it printed. */
async function runExample(command: string, file: string): Promise<string> {
  const { url } = await realServer({ apiKeys: [{ tenant: 'newcomer', key: 'sesame' }] });
  for (const name of ['headlines', 'french-flavour']) await uploadBundled(url, name, 'sesame');
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], PREAMBLE_URL: url, PREAMBLE_KEY: 'sesame' };
  const { stdout } = await run(command, [join(packageRoot, 'examples', file)], { env, maxBuffer: 2 ** 24 });
  const left = await send(url, { path: '/v1/prefixes', headers: { authorization: 'Bearer sesame' } });
  expect(JSON.parse(left.text)).toMatchObject({ data: [{ name: 'french-flavour' }, { name: 'headlines' }] });
  return stdout;
}

/** What the demo model says with each prefix: greedy, so it is always the same. */
function expectClientOutput(printed: string): void {
  expect(printed).toMatch(
    /^model preamble-demo\nprefix french-flavour of preamble-demo\nprefix headlines of preamble-demo\n/,
  );
  const texts = ['preamble-demo', 'headlines', 'french-flavour'].map(
    (model) => new RegExp(`^${model}: The(.+)$`, 'm').exec(printed)?.[1],
  );
  expect(new Set(texts).size).toBe(3);
  expect(texts).not.toContain(undefined);
  expect(printed).toMatch(/^made users\/alice of \d+ virtual tokens\n.{10,}$/m);
  expect(printed).toMatch(/^refused: temperature \(invalid_value\)$/m);
}

describe('the examples', () => {
  it('curl', async ({ skip }) => {
    skip(!(await works('curl', '--version')), 'there is no curl');
    const printed = await runExample('sh', 'curl.sh');
    expect(printed.match(/^# .*$/gm)).toHaveLength(4);
    expect(printed).toMatch(/^data: \{.*"finish_reason":"stop"/m);
    expect(printed).toMatch(/^data: \[DONE\]$/m);
    expect(printed).toContain('"custom_id":"headline"');
    expect(printed).toContain('"deleted":true');
  });

  it('the official JavaScript client', async () => {
    expectClientOutput(await runExample(process.execPath, 'openai-client.mjs'));
  });

  describe('in Python', () => {
    let hasOpenAI = false;
    beforeAll(async () => {
      hasOpenAI = await preparePython();
    });

    it('the official Python client', async ({ skip }) => {
      skip(!hasOpenAI, 'python3 with venv, or the registry that has openai, is out of reach');
      expectClientOutput(await runExample(venvPython, 'openai_client.py'));
    });

    it('an upload from PEFT', async ({ skip }) => {
      skip(!(await works('python3', '-c', 'import peft, requests')), 'python3 has no peft and requests');
      const printed = await runExample('python3', 'peft_upload.py');
      expect(printed).toMatch(/^examples\/peft@[0-9a-f]{12}: 8 virtual tokens\n.+/);
    });
  });
});
