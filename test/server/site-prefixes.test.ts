import type { FastifyInstance } from 'fastify';
import { describe, expect, it } from 'vitest';

import type { AdapterFiles } from '../../src/prefix/adapter/format.js';
import { PREFIX_ERRORS } from '../../src/prefix/errors.js';
import { PrefixLibrary } from '../../src/prefix/library.js';
import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { FakeEncoder, prefixFiles } from '../prefix/fixtures.js';
import { peftFiles, seq2seq, sitesFiles } from '../prefix/sites-fixtures.js';
import { sitesRefusals } from '../prefix/sites-refusals.js';
import { encodeForm } from '../support/http.js';
import { testServer } from './harness.js';
import { temporaryDirectory } from './prefix-library.js';

async function sitesServer(base = seq2seq): Promise<FastifyInstance> {
  const store = await DiskPrefixStore.open(await temporaryDirectory(), base.fingerprint);
  const library = new PrefixLibrary({ store, base, encoder: new FakeEncoder(), cacheBytes: 1 << 20 });
  return (await testServer({ logLevel: 'silent' }, { base, library })).app;
}

async function upload(
  app: FastifyInstance,
  { config, model, template }: AdapterFiles,
  fields: Record<string, string> = {},
) {
  const form = await encodeForm({
    name: 'summaries',
    ...fields,
    adapter_config: [new Uint8Array(config), 'adapter_config.json'],
    adapter_model: [new Uint8Array(model), 'adapter_model.safetensors'],
    ...(template && { chat_template: [new Uint8Array(template), 'chat_template.jinja'] }),
  });
  const payload = Buffer.from(form.body);
  return app.inject({ method: 'POST', url: '/v1/prefixes', payload, headers: form.headers });
}

describe("an encoder-decoder's prefix over HTTP", () => {
  it('is described by its sites, and downloaded as it was uploaded', async () => {
    const app = await sitesServer();
    const files = sitesFiles({ encoder: 2, decoder: 3, cross: 5 });
    const answer = await upload(app, files);
    expect(answer.statusCode).toBe(201);
    const described = {
      num_virtual_tokens: 5,
      sites: { encoder: 2, decoder: 3, cross: 5 },
      bytes: 4 * 256,
      warnings: [],
    };
    expect(answer.json()).toMatchObject(described);
    const { sites } = described;
    const details = await app.inject('/v1/prefixes/summaries');
    expect(details.json()).toMatchObject({ ...described, versions: [{ sites }] });
    for (const [name, bytes] of [
      ['adapter_config.json', files.config],
      ['adapter_model.safetensors', files.model],
    ] as const) {
      const file = await app.inject(`/v1/prefixes/summaries/files/${name}`);
      expect([...file.rawPayload]).toEqual([...bytes]);
    }
  });

  it('has no chat template', async () => {
    const template = Buffer.from('{{ messages }}');
    const answer = await upload(await sitesServer(), { ...sitesFiles({ encoder: 2, decoder: 3, cross: 5 }), template });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ error: { code: 'chat_template_unsupported', param: 'chat_template' } });
  });

  it("is described with what PEFT's forward pass makes of it, if PEFT wrote it", async () => {
    const answer = await upload(await sitesServer(), peftFiles());
    expect(answer.json()).toMatchObject({
      sites: { decoder: 3 },
      warnings: [expect.stringContaining("PEFT's forward")],
    });
  });

  it.each([
    ["a decoder-only model's", prefixFiles(), {}, 'task_type_unsupported', 'adapter_config.task_type'],
    ['an infix', sitesFiles({ decoder: 2 }), { placement: 'infix' }, 'placement_unsupported', 'placement'],
    ['other sites', sitesFiles({ decoder: 2 }, { sites: ['cross'] }), {}, 'sites_mismatch', 'adapter_config.sites'],
  ])('is refused: %s', async (_, files, fields, code, param) => {
    const answer = await upload(await sitesServer(), files, fields);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ error: { code, param } });
  });

  // A length that is configured is no field of an upload.
  it.each(sitesRefusals.filter(({ options }) => !options?.maxLength))(
    'is refused with $code: $what',
    async ({ code, files, options, decoder }) => {
      const sites = seq2seq.sites.map((site) => (site.name === 'encoder' ? site : { ...site, ...decoder }));
      const app = await sitesServer({ ...seq2seq, sites });
      const answer = await upload(app, files, options?.placement ? { placement: options.placement } : {});
      const { param, reason } = PREFIX_ERRORS[code];
      expect(answer.statusCode).toBe(reason === 'too_large' ? 413 : 400);
      expect(answer.json()).toMatchObject({ error: { code, param } });
      expect((await app.inject('/v1/prefixes')).json()).toMatchObject({ data: [] });
    },
  );

  it('is refused as a text', async () => {
    const app = await sitesServer();
    const answer = await app.inject({ method: 'POST', url: '/v1/prefixes', payload: { name: 'a', text: 'Dear' } });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ error: { code: 'text_unsupported', param: 'text' } });
  });
});
