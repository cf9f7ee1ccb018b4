import type { FastifyInstance } from 'fastify';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { selfKv, selfRows } from '../../src/prefix/kv.js';
import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { PREFIX_ERRORS, type PrefixErrorCode } from '../../src/prefix/errors.js';
import { PrefixLibrary } from '../../src/prefix/library.js';
import { changes, damaged } from '../prefix/damage.js';
import { base, config, FakeEncoder, model, prefixFiles, softPromptFiles, values } from '../prefix/fixtures.js';
import { peftLoads } from '../prefix/peft-oracle.js';
import { notOfFiles, refusals } from '../prefix/refusals.js';
import { sitesRefusals } from '../prefix/sites-refusals.js';
import { refusedFiles } from '../safetensors/refused-files.js';
import { encodeForm } from '../support/http.js';
import { post, testServer, type Body } from './harness.js';
import { temporaryDirectory } from './prefix-library.js';

/** Soft prompts that begin with this become keys that are too large for a float. */
const EXPLODES = 12345;

class ExplodingEncoder extends FakeEncoder {
  override async encodeEmbeddings(embeddings: Float32Array, length: number) {
    const kv = await super.encodeEmbeddings(embeddings, length);
    return embeddings[0] === EXPLODES ? selfKv(length, selfRows(kv).fill(Infinity)) : kv;
  }
}

async function uploadServer(): Promise<FastifyInstance> {
  const store = await DiskPrefixStore.open(await temporaryDirectory(), base.fingerprint);
  const library = new PrefixLibrary({ store, base, encoder: new ExplodingEncoder(), cacheBytes: 1 << 20 });
  const { app } = await testServer({ logLevel: 'silent' }, { base, library });
  return app;
}

interface Files {
  readonly config: Uint8Array;
  readonly model: Uint8Array;
  readonly template?: Uint8Array | undefined;
}

async function upload(app: FastifyInstance, { config, model, template }: Files, fields: Record<string, string> = {}) {
  const form = await encodeForm({
    name: 'n',
    ...fields,
    adapter_config: [new Uint8Array(config), 'adapter_config.json'],
    adapter_model: [new Uint8Array(model), 'adapter_model.safetensors'],
    ...(template && { chat_template: [new Uint8Array(template), 'chat_template.jinja'] }),
  });
  const payload = Buffer.from(form.body);
  const response = await app.inject({ method: 'POST', url: '/v1/prefixes', payload, headers: form.headers });
  return { status: response.statusCode, error: response.json<Partial<Body>>().error };
}

describe('damaged uploads over HTTP', () => {
  it.each([
    ['tensors of a prefix', prefixFiles(), 'model', 1000],
    ['tensors of a soft prompt', softPromptFiles(), 'model', 1000],
    ['the config of a prefix', prefixFiles(), 'config', 1000],
  ] as const)('%s: taken whole, or refused by name', async (_, files, part, numRuns) => {
    const app = await uploadServer();
    const statuses = new Set<number>();
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const broken = { ...files, [part]: damaged(files[part], list) };
        const { status, error } = await upload(app, broken);
        statuses.add(status);
        if (status === 200 || status === 201) expect(peftLoads(broken.config, broken.model, base)).toBe(true);
        else expect([status, PREFIX_ERRORS[error?.code as PrefixErrorCode].param]).toEqual([400, error?.param]);
        await app.inject({ method: 'DELETE', url: '/v1/prefixes/n' });
      }),
      { numRuns, seed: 6 },
    );
    expect([...statuses].sort()).toEqual([201, 400]);
  });
});

interface Case {
  readonly code: PrefixErrorCode;
  readonly what: string;
  readonly files?: Partial<Files>;
  readonly fields?: Record<string, string>;
}

const cases: Case[] = [
  // A length that is configured is no field of an upload.
  ...refusals
    .filter(({ options }) => !options?.maxLength)
    .map(({ code, what, changes, config: bytes, model, options }) => ({
      code,
      what,
      files: { config: bytes ?? config(changes), ...(model && { model }) },
      fields: options?.placement ? { placement: options.placement } : {},
    })),
  ...refusedFiles.map(([code, what, file]) => ({ code: `safetensors_${code}` as const, what, files: { model: file } })),
  {
    code: 'prefix_kv_not_finite',
    what: 'a soft prompt that explodes',
    files: {
      config: config({ peft_type: 'CPT' }),
      model: model(3, base.width, values(3 * base.width).with(0, EXPLODES)),
    },
  },
  { code: 'prefix_name_invalid', what: 'a name that climbs', fields: { name: 'a/../b' } },
  { code: 'prefix_name_reserved', what: 'the base model', fields: { name: base.id } },
];

/** Codes that are no answer to an upload of files. */
const elsewhere: PrefixErrorCode[] = [
  ...notOfFiles,
  // An encoder-decoder's: test/server/site-prefixes.test.ts.
  ...sitesRefusals.map(({ code }) => code),
];

describe('every refusal', () => {
  it.each(cases)('$code: $what', async ({ code, files, fields }) => {
    const app = await uploadServer();
    const { status, error } = await upload(app, { ...prefixFiles(), ...files }, fields);
    const { param, reason } = PREFIX_ERRORS[code];
    expect({ status, error }).toMatchObject({
      status: reason === 'too_large' ? 413 : 400,
      error: { code, param, type: 'invalid_request_error' },
    });
    expect((await app.inject({ url: '/v1/prefixes' })).json()).toMatchObject({ data: [] });
  });

  it.each([
    ['chat_template_invalid', Buffer.from('{% for %}'), 400],
    ['chat_template_too_large', Buffer.alloc(65_537, 'a'), 413],
  ] as const)('%s: of a chat template', async (code, template, status) => {
    const answer = await upload(await uploadServer(), { ...prefixFiles(), template });
    expect(answer).toMatchObject({ status, error: { code, param: 'chat_template', type: 'invalid_request_error' } });
  });

  it('of a text', async () => {
    const app = await uploadServer();
    const long = await post(app, '/v1/prefixes', { name: 'n', text: 'x'.repeat(9) });
    expect(long).toMatchObject({ status: 400, body: { error: { code: 'text_too_long', param: 'text' } } });
  });

  it('is there: no code without a case', () => {
    const tested = new Set([...cases.map(({ code }) => code), ...elsewhere]);
    expect([...tested].sort()).toEqual(Object.keys(PREFIX_ERRORS).sort());
  });
});
