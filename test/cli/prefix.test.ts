import { cp, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { listen, testServer } from '../server/harness.js';
import { adapterFiles, temporaryDirectory, testLibrary } from '../server/prefix-library.js';
import { preamble, type Outcome } from './preamble.js';

type Command = (...args: string[]) => Promise<Outcome>;

/** `preamble prefix` against a running server, and a directory with an adapter. */
async function setUp(): Promise<{ prefix: Command; adapter: string; scratch: string }> {
  const { app } = await testServer({ apiKeys: [{ tenant: 'a', key: 'sesame' }] }, { library: await testLibrary() });
  const url = await listen(app);
  const scratch = await temporaryDirectory();
  const adapter = join(scratch, 'adapter');
  const files = adapterFiles(3, { placement: 'infix', base_model_name_or_path: 'another' });
  await mkdir(adapter);
  await writeFile(join(adapter, 'adapter_config.json'), files.config);
  await writeFile(join(adapter, 'adapter_model.safetensors'), files.model);
  const prefix: Command = (...args) =>
    preamble('prefix', ...args, '--url', url, ...(args.includes('--key') ? [] : ['--key', 'sesame']));
  return { prefix, adapter, scratch };
}

describe('preamble prefix', () => {
  it('pushes, lists, inspects, pulls and removes', async () => {
    const { prefix, adapter, scratch } = await setUp();
    const pushed = await prefix('push', adapter, '--name', 'users/alice');
    expect(pushed.status).toBe(0);
    expect(pushed.out).toMatch(/^users\/alice@[0-9a-f]{12}\nwarning: .*another/);

    const listed = await prefix('ls');
    expect(listed.out).toMatch(/^NAME +VERSION .*\nusers\/alice +[0-9a-f]{12} +prefix +infix +3 +48\n$/);
    expect(JSON.parse((await prefix('ls', '--json')).out)).toMatchObject([{ name: 'users/alice', placement: 'infix' }]);

    const inspected = await prefix('inspect', 'users/alice');
    expect(inspected.out).toContain('num_virtual_tokens: 3\n');
    expect(JSON.parse((await prefix('inspect', 'users/alice', '--json')).out)).toMatchObject({ versions: [{}] });

    const target = join(scratch, 'pulled');
    expect(await prefix('pull', 'users/alice', target)).toMatchObject({
      status: 0,
      out: expect.stringContaining('PEFT takes for a prefix'),
    });
    const missing = await prefix('inspect', 'users/alice@123456789abc');
    expect(missing.err).toContain('there is no prefix "users/alice@123456789abc"');
    for (const file of ['adapter_config.json', 'adapter_model.safetensors']) {
      expect(await readFile(join(target, file))).toEqual(await readFile(join(adapter, file)));
    }

    expect(await prefix('rm', 'users/alice')).toMatchObject({ status: 0, out: 'deleted: users/alice\n' });
    expect(await prefix('rm', 'users/alice')).toMatchObject({ status: 1, out: '' });
    expect(JSON.parse((await prefix('ls', '--json')).out)).toEqual([]);
  });

  it('shares, promotes and rolls back versions, and grants', async () => {
    const { prefix, adapter } = await setUp();
    const versionOf = async (...args: string[]): Promise<string> =>
      (JSON.parse((await prefix('push', adapter, '--name', 'a', '--json', ...args)).out) as { version: string })
        .version;
    const old = await versionOf('--placement', 'infix');
    await writeFile(join(adapter, 'adapter_config.json'), adapterFiles(3, {}).config);
    const tried = await versionOf('--share', '0');
    const short = (version: string): string => version.slice(0, 12);
    const rows = async (): Promise<unknown> => {
      const { shares } = JSON.parse((await prefix('inspect', 'a', '--json')).out) as {
        shares: { version: string; percent: number }[];
      };
      return Object.fromEntries(shares.map(({ version, percent }) => [version, percent]));
    };
    expect(await rows()).toEqual({ [old]: 100 });
    const shared = await prefix('share', 'a', `${short(old)}=90`, `${short(tried)}=10`);
    expect(shared.out).toMatch(
      new RegExp(`^VERSION +PERCENT +VERSION ID\n${short(old)} +90 +\\w{16}\n${short(tried)} +10 `),
    );
    expect(await rows()).toEqual({ [old]: 90, [tried]: 10 });
    expect((await prefix('inspect', 'a')).out).toMatch(new RegExp(`\n${short(tried)} +10 +\\w{16}\n`));
    expect((await prefix('promote', 'a', short(tried))).status).toBe(0);
    expect(await rows()).toEqual({ [tried]: 100 });
    expect((await prefix('rollback', 'a')).status).toBe(0);
    expect(await rows()).toEqual({ [old]: 90, [tried]: 10 });
    expect(await prefix('share', 'a', `${short(old)}=90`)).toMatchObject({
      status: 1,
      err: expect.stringContaining('add up to 90'),
    });
    expect(await prefix('share', 'a', 'x=90')).toMatchObject({ status: 2 });

    expect((await prefix('grant', 'a', 'friend')).out).toBe('friend may use it as a:a\n');
    expect((await prefix('grants', 'a')).out).toMatch(/^TENANT +MODEL\nfriend +a:a\n$/);
    expect((await prefix('revoke', 'a', 'friend')).out).toBe('revoked: friend\n');
    expect(JSON.parse((await prefix('grants', 'a', '--json')).out)).toEqual([]);
    expect(await prefix('revoke', 'a', 'friend')).toMatchObject({ status: 1 });
  });

  it('does not warn when forced, and takes the placement that is given', async () => {
    const { prefix, adapter } = await setUp();
    const { out } = await prefix('push', adapter, '--name', 'n', '--force', '--json');
    expect(JSON.parse(out)).toMatchObject({ name: 'n', placement: 'infix', warnings: [] });
    const refused = await prefix('push', adapter, '--name', 'n', '--placement', 'prefix');
    expect(refused).toMatchObject({ status: 1, err: expect.stringContaining('placement_conflict') });
  });

  it('pushes and pulls a chat template beside the adapter, unless it is to be left out', async () => {
    const { prefix, adapter, scratch } = await setUp();
    await writeFile(join(adapter, 'chat_template.jinja'), '{{ messages }}');
    const { out } = await prefix('push', adapter, '--name', 'n', '--force');
    expect(out).toMatch(/^n@[0-9a-f]{12} with chat_template\.jinja\n$/);
    const target = join(scratch, 'pulled');
    expect(await prefix('pull', 'n', target)).toMatchObject({ status: 0 });
    expect(await readFile(join(target, 'chat_template.jinja'), 'utf8')).toBe('{{ messages }}');
    const left = await prefix('push', adapter, '--name', 'n', '--force', '--no-chat-template');
    expect(left.out).toMatch(/^n@[0-9a-f]{12}\n$/);
    await prefix('pull', 'n', join(scratch, 'again'));
    expect(await readdir(join(scratch, 'again'))).not.toContain('chat_template.jinja');
  });

  it('pushes the directory of an adapter, and says which one that is', async () => {
    const { prefix, adapter, scratch } = await setUp();
    expect(await prefix('push', scratch, '--name', 'n')).toEqual({
      status: 1,
      out: '',
      err: `preamble: ${scratch}: no adapter_config.json and no adapter_model.safetensors in it; did you mean ${adapter}?\n`,
    });
    await rename(join(adapter, 'adapter_model.safetensors'), join(adapter, 'adapter_model.bin'));
    const pickle = await prefix('push', adapter, '--name', 'n');
    expect(pickle).toMatchObject({ status: 1, out: '' });
    expect(pickle.err).toMatch(/^(.+\n){4}$/);
    expect(pickle.err).toContain(`\n  tensors = torch.load("${adapter}/adapter_model.bin", `);
  });

  it('lists more than a page', async () => {
    const library = await testLibrary();
    const names = ['a', 'b', 'c'];
    for (const name of names) await library.uploadText('default', { name, text: name, tokens: [1] });
    const { list } = library;
    library.list = (tenant, options) => list.call(library, tenant, { ...options, limit: 1 });
    const { app } = await testServer({}, { library });
    const { out } = await preamble('prefix', 'ls', '--json', '--url', await listen(app));
    expect((JSON.parse(out) as { name: string }[]).map(({ name }) => name)).toEqual(names);
  });

  it('tells why the server refuses', async () => {
    const { prefix, adapter } = await setUp();
    expect(await prefix('push', adapter, '--name', 'tiny')).toMatchObject({
      status: 1,
      err: expect.stringContaining('(prefix_name_reserved)'),
    });
    expect((await prefix('ls', '--key', 'wrong')).err).toContain('(invalid_api_key)');
  });
});

describe('preamble prefix convert', () => {
  const goldens = fileURLToPath(new URL('../conversion/goldens', import.meta.url));

  it('writes the two files of a prefix without a server, and says what they hold', async () => {
    const out = join(await temporaryDirectory(), 'new', 'converted');
    const source = join(goldens, 'adapterhub');
    expect(await preamble('prefix', 'convert', source, '--out', out)).toEqual({
      status: 0,
      out: `${source} -> ${out}\nvirtual tokens: encoder 3, decoder 3, cross 3\n`,
      err: '',
    });
    expect((await readdir(out)).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);

    const args = [join(source, 'pytorch_adapter.bin'), '--out', out, '--base', 'me/bart', '--json'];
    const again = await preamble('prefix', 'convert', ...args);
    const layers = { encoder_layers: 2, decoder_layers: 1 };
    const sites = { encoder: 3, decoder: 3, cross: 3 };
    expect(JSON.parse(again.out)).toEqual({ directory: out, sites, ...layers, width: 4 });
    const config = JSON.parse(await readFile(join(out, 'adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({ base_model_name_or_path: 'me/bart', sites: ['encoder', 'decoder', 'cross'] });
  });

  it('fails with the reason, writes nothing then, and never writes to the source', async () => {
    const scratch = await temporaryDirectory();
    const source = join(scratch, 'source');
    await cp(join(goldens, 'adapterhub'), source, { recursive: true });
    const file = join(source, 'adapter_config.json');
    const config = await readFile(file, 'utf8');
    const inPlace = await preamble('prefix', 'convert', source, '--out', `${source}/`);
    expect(inPlace).toMatchObject({ status: 1, err: expect.stringContaining('--out: must be another directory') });
    expect(await readFile(file, 'utf8')).toBe(config);

    await writeFile(file, config.replace('"use_gating": false', '"use_gating": true'));
    const out = join(scratch, 'out');
    const refused = await preamble('prefix', 'convert', source, '--out', out);
    expect(refused).toEqual({
      status: 1,
      out: '',
      err: `preamble: ${source}: use_gating: true; accepted is false\n`,
    });
    await expect(readdir(out)).rejects.toThrow('ENOENT');
    expect(await preamble('prefix', 'convert', source)).toMatchObject({ status: 2 });
    expect(await preamble('prefix', 'convert', source, '--out', out, '--base', '')).toMatchObject({ status: 2 });
  });
});
