import { describe, expect, it } from 'vitest';

import { preamble } from './preamble.js';

describe('preamble', () => {
  it.each([
    [['--help'], 'serve'],
    [['serve', '--help'], 'PREAMBLE_'],
    [['import-model', '--help'], '<dir>'],
    [['prefix', '--help'], 'push'],
    [['prefix', 'push', '--help'], '--placement'],
    [['prefix', 'ls', '--help'], '--json'],
    [['prefix', 'inspect', '--help'], '<name>'],
    [['prefix', 'pull', '--help'], '<name> <dir>'],
    [['prefix', 'rm', '--help'], '--key'],
    [['key', '--help'], 'revoke'],
    [['key', 'create', '--help'], '--tenant'],
    [['key', 'ls', '--help'], '--admin-key'],
    [['key', 'revoke', '--help'], '<id>'],
    [['tenant', '--help'], 'set'],
    [['tenant', 'set', '--help'], '--requests-per-minute'],
    [['tenant', 'rm', '--help'], '--prefixes'],
    [['bench', '--help'], '--rows'],
    [['doctor', '--help'], '--measure'],
  ])('%j is 0 and prints help', async (args, part) => {
    const { status, out } = await preamble(...args);
    expect(status).toBe(0);
    expect(out).toContain(part);
  });

  it.each([
    [['frobnicate'], 'unknown command'],
    [['serve', '--frobnicate'], 'unknown option'],
    [['serve', 'extra'], 'too many arguments'],
    [['prefix'], 'Usage'],
    [['prefix', 'push', 'dir'], '--name'],
    [['prefix', 'push', 'dir', '--name', 'n', '--placement', 'middle'], 'infix'],
    [['prefix', 'inspect'], 'name'],
    [['key'], 'Usage'],
    [['key', 'create'], '--tenant'],
    [['key', 'revoke'], 'id'],
    [['tenant', 'set'], 'tenant'],
    [['tenant', 'set', 'a', '--weight', 'heavy'], 'none'],
    [['bench', '--rows', 'one'], 'positive'],
    [['doctor', '--frobnicate'], 'unknown option'],
  ])('%j is 2 and says why', async (args, part) => {
    const { status, err } = await preamble(...args);
    expect(status).toBe(2);
    expect(err).toContain(part);
  });

  it('is 1 without a server', async () => {
    const { status, err } = await preamble('prefix', 'ls', '--url', 'http://127.0.0.1:9');
    expect(status).toBe(1);
    expect(err).toContain('no answer from http://127.0.0.1:9');
  });

  it('is 1 for files that are not there', async () => {
    const { status, err } = await preamble('prefix', 'push', '/nowhere', '--name', 'n');
    expect(status).toBe(1);
    expect(err).toContain('/nowhere: no such directory');
  });
});
