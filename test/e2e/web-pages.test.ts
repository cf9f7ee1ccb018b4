import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, inject, it } from 'vitest';

import { bundledPrefixes } from '../../src/config/paths.js';
import { send } from '../support/http.js';
import { openPage, serveEmptyPage, type Asked, type Form } from '../support/browser.js';
import { realServer, uploadBundled } from '../support/real-server.js';

/** `formal-replies` in the place of `headlines`. */
const prefix: Form = {
  name: 'headlines',
  adapter_config: await bundledFile('adapter_config.json'),
  adapter_model: await bundledFile('adapter_model.safetensors'),
};
const file: Form = { purpose: 'fine-tune', file: { base64: btoa('{"prompt": "a", "completion": "b"}') } };
const completion: Asked = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'headlines', prompt: 'The', max_tokens: 4 }),
};

async function bundledFile(name: string): Promise<{ base64: string }> {
  return { base64: await readFile(join(bundledPrefixes, 'formal-replies', name), 'base64') };
}

/** What the server keeps: the versions of `headlines`, and the files. */
async function kept(url: string): Promise<{ versions: unknown[]; files: unknown[] }> {
  const [headlines, files] = [
    await send(url, { path: '/v1/prefixes/headlines' }),
    await send(url, { path: '/v1/files' }),
  ];
  return { versions: JSON.parse(headlines.text).versions, files: JSON.parse(files.text).data };
}

const withChromium = describe.skipIf(inject('chromium') === null);

withChromium('a page of another origin, on a server without keys', () => {
  it('changes nothing by forms', async () => {
    const { url } = await realServer();
    await uploadBundled(url, 'headlines');
    const before = await kept(url);
    expect(before).toMatchObject({ versions: [{}], files: [] });
    const home = `http://evil.example:${await serveEmptyPage()}/`;
    const site = await openPage(home);
    const forms = { prefixes: prefix, files: file };
    for (const [route, form] of Object.entries(forms)) {
      expect(await site.submitForm(`${url}/v1/${route}`, form)).toBe(403);
      expect(await site.page.innerText('body')).toContain('origin_not_allowed');
      await site.page.goto(home);
      expect(await site.ask(`${url}/v1/${route}`, { form, mode: 'no-cors' })).toMatchObject({ type: 'opaque' });
      expect(await site.ask(`${url}/v1/${route}`, { form })).toEqual({ type: 'TypeError' });
    }
    expect(await kept(url)).toEqual(before);
  });

  it('may write, and reads nothing, if this machine serves it', async () => {
    const { url } = await realServer();
    const site = await openPage(`http://localhost:${await serveEmptyPage()}/`);
    expect(await site.ask(`${url}/v1/prefixes`, { form: prefix })).toEqual({ type: 'TypeError' });
    expect(await kept(url)).toMatchObject({ versions: [{}] });
  });

  it('reads nothing', async () => {
    const { url } = await realServer();
    const { ask } = await openPage(`http://evil.example:${await serveEmptyPage()}/`);
    expect(await ask(`${url}/v1/models`)).toEqual({ type: 'TypeError' });
    expect(await ask(`${url}/v1/completions`, completion)).toEqual({ type: 'TypeError' });
  });

  it('reads nothing when its own name leads to this machine', async () => {
    const { url } = await realServer();
    const site = await openPage('about:blank');
    const rebound = url.replace('127.0.0.1', 'evil.example');
    // What it was before its name led here.
    await site.page.route(`${rebound}/`, (route) => route.fulfill({ contentType: 'text/html', body: '' }));
    await site.page.goto(`${rebound}/`);
    for (const path of ['/v1/models', '/metrics', '/docs', '/nothing']) {
      const answer = await site.ask(path);
      expect(answer).toMatchObject({ type: 'basic', status: 403 });
      expect(answer.text).toContain('host_not_allowed');
    }
    expect(await site.ask('/v1/completions', completion)).toMatchObject({ status: 403 });
  });

  it('does not frame the documentation', async () => {
    const { url } = await realServer();
    const { page } = await openPage(`http://evil.example:${await serveEmptyPage()}/`);
    await page.evaluate(`document.body.innerHTML = '<iframe src="${url}/docs"></iframe>'`);
    await expect.poll(() => page.frames()[1]?.url(), { timeout: 30_000 }).toBe('chrome-error://chromewebdata/');
  });
});

withChromium('a page of an allowed origin', () => {
  it.each([
    ['without keys', [], {}],
    ['with keys', [{ tenant: 'alice', key: 'key-a' }], { authorization: 'Bearer key-a' }],
  ])('completes, streams, uploads, deletes and reads errors, %s', async (_, apiKeys, key) => {
    const origin = `http://app.example:${await serveEmptyPage()}`;
    const { url } = await realServer({ apiKeys, allowedOrigins: [origin] });
    const { ask } = await openPage(origin);
    const call = (path: string, { headers, ...asked }: Asked) =>
      ask(`${url}/v1${path}`, { ...asked, headers: { ...headers, ...key } });
    const complete = (changes: object) =>
      call('/completions', {
        ...completion,
        body: JSON.stringify({ ...JSON.parse(completion.body ?? ''), ...changes }),
      });

    expect(await call('/prefixes', { form: prefix })).toMatchObject({ type: 'cors', status: 201 });
    expect(await call('/files', { form: file })).toMatchObject({ type: 'cors', status: 200 });
    const answer = await complete({});
    expect(answer).toMatchObject({ type: 'cors', status: 200, requestId: expect.stringMatching(/^[\w-]{36}$/) });
    expect(JSON.parse(answer.text ?? '').choices).toHaveLength(1);
    const stream = await complete({ stream: true });
    expect(stream).toMatchObject({ type: 'cors', status: 200 });
    expect(stream.text).toMatch(/^data: \{.*\n\ndata: \[DONE\]\n\n$/s);
    const refused = await complete({ model: 'nobody' });
    expect(refused).toMatchObject({ type: 'cors', status: 404 });
    expect(refused.text).toContain('model_not_found');
    expect(await call('/prefixes/headlines', { method: 'DELETE' })).toMatchObject({ type: 'cors', status: 200 });
  });
});

withChromium('the documentation', () => {
  it('sends requests from a browser to a server without keys', async () => {
    const { url } = await realServer();
    await uploadBundled(url, 'headlines'); // the example's model
    const { page, ask } = await openPage(`${url}/docs`);
    const problems: string[] = [];
    page.on('pageerror', ({ message }) => problems.push(message));
    await page.getByText('Complete a prompt', { exact: true }).click();
    await page.getByRole('button', { name: 'Try it out' }).click();
    const answered = page.waitForResponse(`${url}/v1/completions`);
    await page.getByRole('button', { name: 'Execute' }).click();
    expect((await answered).status()).toBe(200);
    expect(await ask(`${url}/v1/prefixes`, { form: prefix })).toMatchObject({ type: 'basic', status: 201 });
    expect(problems).toEqual([]);
  });
});
