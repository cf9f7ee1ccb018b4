import { readFile } from 'node:fs/promises';

import { describe, expect, inject, it } from 'vitest';

import { openConsole } from './console.js';

const MARKUP = '<img src=x onerror="globalThis.pwned=1">';

/** A file of requests to the bundled model. */
function requests(bodies: readonly object[], url = '/v1/completions') {
  const lines = bodies.map((body, index) =>
    JSON.stringify({ custom_id: `request ${index} ${MARKUP}`, method: 'POST', url, body }),
  );
  return { name: 'requests.jsonl', mimeType: 'application/jsonl', buffer: Buffer.from(lines.join('\n')) };
}

const complete = (changes: object = {}) => ({
  model: 'preamble-demo',
  prompt: 'About fog\n',
  max_tokens: 4,
  ...changes,
});

describe.skipIf(inject('chromium') === null)('the page of batches', () => {
  it('goes from a file to answers and errors by line, all of it as text', async () => {
    const { page } = await openConsole('#/batches');
    await page
      .locator('input[type=file]')
      .setInputFiles(requests([complete(), complete({ model: MARKUP }), complete()]));
    await page.getByText('3 requests').waitFor();
    await page.getByRole('button', { name: 'Start batch' }).click();
    await page.locator('.pane .status.completed').waitFor();
    expect(await page.locator('.pane [role=status]').first().innerText()).toMatch(
      /^completed, 2 of 3 requests, 1 failed after /,
    );
    const [errors = '', results = ''] = await page.locator('.results').allInnerTexts();
    expect(errors).toContain(`request 1 ${MARKUP}`);
    expect(errors).toContain('does not exist');
    expect(results).toContain(`request 0 ${MARKUP}`);
    expect(results).toContain(`request 2 ${MARKUP}`);
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.evaluate('globalThis.pwned')).toBeUndefined();
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: /^Save .*-output.jsonl$/ }).click();
    const lines = (await readFile(await (await saved).path(), 'utf8')).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([{ error: null }, { error: null }]);
  });

  it('says which lines a batch fails for, and what is no file of requests', async () => {
    const { page } = await openConsole('#/batches');
    const input = page.locator('input[type=file]');
    await input.setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') });
    await page.getByText('The first line is no request').waitFor();
    await input.setInputFiles(requests([complete()], '/v1/embeddings'));
    await page.getByText('is none of /v1/completions').waitFor();
    const file = requests([complete()]);
    await input.setInputFiles({ ...file, buffer: Buffer.concat([file.buffer, Buffer.from('\n{"custom_id":7}\n')]) });
    await page.getByRole('button', { name: 'Start batch' }).click();
    await page.locator('.pane .status.failed').waitFor();
    await page.getByText("Line 2: 'custom_id' must be a string").waitFor();
  });

  it('cancels, and keeps the batch in the list', async () => {
    const { page } = await openConsole('#/batches');
    const long = Array.from({ length: 300 }, () => complete({ max_tokens: 450, ignore_eos: true }));
    await page.locator('input[type=file]').setInputFiles(requests(long));
    await page.getByRole('button', { name: 'Start batch' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Cancel batch' }).click();
    await page.locator('.pane .status.cancelled').waitFor();
    await page.locator('.cards .status.cancelled').waitFor();
  });
});
