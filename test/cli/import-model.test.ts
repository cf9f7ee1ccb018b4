import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { Problem } from '../../src/cli/doctor/report.js';
import { CheckpointCopy } from '../support/checkpoint-copy.js';
import { golden } from '../support/goldens.js';
import { addressOf, startProgram } from '../support/program.js';
import { preamble } from './preamble.js';

const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 548118077\n';
let directory: string;
let copy: CheckpointCopy;

beforeEach(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-import-'));
  copy = await CheckpointCopy.of(golden('tiny-a').directory, path.join(directory, 'model'));
  vi.stubEnv('PREAMBLE_CACHE', path.join(directory, 'cache'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await fs.rm(directory, { recursive: true });
});

const cached = (): Promise<string[]> => fs.readdir(path.join(directory, 'cache')).catch(() => []);

describe('preamble import-model', () => {
  it('refuses a tokenizer that cannot be opened before it compiles anything', async () => {
    for (const tokenizer of ['{"model": {"type": "Unigram"}}', '{"model":', POINTER]) {
      await fs.writeFile(copy.file('tokenizer.json'), tokenizer);
      const { status, out, err } = await preamble('import-model', copy.directory);
      expect({ status, out }).toEqual({ status: 1, out: '' });
      expect(err).toMatch(/^preamble: <dir>: \S+model\b.*tokenizer\.json/);
      expect(await cached()).toEqual([]);
    }
  });

  it.each([
    ['chat_template.jinja', POINTER],
    ['chat_template.jinja', '{% if messages %}'],
    ['tokenizer_config.json', '{"chat_template":'],
    ['tokenizer_config.json', '{"chat_template": "{{ messages"}'],
  ])('refuses a %s that cannot be read before it compiles anything, as doctor and a start do', async (file, text) => {
    await fs.writeFile(copy.file(file), text);
    const { status, out, err } = await preamble('import-model', copy.directory);
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(err).toContain(`preamble: <dir>: ${copy.file(file)}`);
    expect(await cached()).toEqual([]);

    vi.stubEnv('PREAMBLE_MODEL', copy.directory);
    const { problems } = JSON.parse((await preamble('doctor', '--json')).out) as { problems: Problem[] };
    expect(problems.find(({ fatal }) => fatal)?.problem).toContain(copy.file(file));
    const started = await preamble('serve');
    expect({ status: started.status, out: started.out }).toEqual({ status: 2, out: '' });
    expect(started.err).toContain(`preamble: PREAMBLE_MODEL: ${copy.file(file)}`);
  });

  it('names its argument, the file and what fetches it, as tune names --model and other commands the variable', async () => {
    await fs.writeFile(copy.file('model.safetensors'), POINTER);
    const file = copy.file('model.safetensors');
    const message = `${file}: the file is a Git LFS pointer, not the file itself: fetch the file with \`git lfs pull\``;
    const imported = await preamble('import-model', copy.directory);
    expect(imported.status).toBe(1);
    expect(imported.err).toContain(`preamble: <dir>: ${message}`);
    expect(imported.err).not.toContain('compiling');

    const data = path.join(directory, 'data.jsonl');
    await fs.writeFile(data, '{"prompt": "a", "completion": "b"}\n');
    const tune = ['tune', '--train', data, '--out', path.join(directory, 'out')];
    expect((await preamble(...tune, '--model', copy.directory)).err).toContain(`preamble: --model: ${message}`);
    vi.stubEnv('PREAMBLE_MODEL', copy.directory);
    for (const args of [tune, ['evaluate', '--data', data]]) {
      const { status, err } = await preamble(...args);
      expect(err).toContain(`preamble: PREAMBLE_MODEL: ${message}`);
      expect(status).toBe(2);
    }
  });

  it('prints what has no effect, as the doctor does, and as each start of the server', async () => {
    await copy.changeConfig({ type_vocab_size: 2 });
    const warning = 'config.json: fields that a GPT-2 does not read have no effect: type_vocab_size';
    const doctor = async (): Promise<unknown> => {
      vi.stubEnv('PREAMBLE_MODEL', copy.directory);
      const { out } = await preamble('doctor', '--json');
      return (JSON.parse(out) as { problems: { problem: string; fatal: boolean }[] }).problems;
    };
    const problem = expect.objectContaining({ problem: warning, fatal: false }) as unknown;
    expect(await doctor()).toContainEqual(problem);
    const { status, out, err } = await preamble('import-model', copy.directory, '--json');
    expect({ status, warnings: (JSON.parse(out) as { warnings: string[] }).warnings }).toEqual({
      ...{ status: 0, warnings: [warning] },
    });
    expect(err).toContain(`warning: ${warning}\n`);
    expect(await doctor()).toContainEqual(problem);
    for (let start = 0; start < 2; start++) {
      const running = await startProgram({
        PREAMBLE_MODEL: copy.directory,
        PREAMBLE_CACHE: path.join(directory, 'cache'),
      });
      await addressOf(running);
      expect(running.output.err.split(`warning: ${warning}\n`)).toHaveLength(2);
    }
  });
});
