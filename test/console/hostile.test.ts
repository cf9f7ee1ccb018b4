import { describe, expect, inject, it } from 'vitest';

import { answersOf, openConsole } from './console.js';

const MARKUP = '<img src=x onerror="globalThis.pwned=1"><script>globalThis.pwned=1</script>';

describe.skipIf(inject('chromium') === null)('what a file, an address or the server says', () => {
  it('is text in the playground, never markup', async () => {
    const pairs = ['nobody', MARKUP].map((model): [string, string] => ['model', model]);
    const query = new URLSearchParams([...pairs, ['prompt', MARKUP], ['stop', MARKUP], ['max_tokens', MARKUP]]);
    const { page } = await openConsole(`#/playground?${query.toString()}`);
    await page.getByRole('button', { name: 'Run' }).click();
    const [, told] = await answersOf(page, 2);
    expect(told).toContain('<img src=x');
    expect(await page.getByLabel('Prompt').inputValue()).toBe(MARKUP);
    await page.getByRole('button', { name: 'Show code' }).click();
    expect(await page.locator('pre.code').innerText()).toContain('<img src=x');
    expect(await page.locator('img, main script').count()).toBe(0);
    expect(await page.evaluate('globalThis.pwned')).toBeUndefined();
  });

  it('is text where the model writes it, too', async () => {
    const query = new URLSearchParams([['model', 'markup'], ['prompt', '<b>'], ['max_tokens', '60'], ['temperature', '2'], ['seed', '1']]); // prettier-ignore
    const { page, server } = await openConsole();
    await fetch(`${server.url}/v1/prefixes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'markup', text: MARKUP.repeat(4) }),
    });
    await page.goto(`${server.url}/console/#/playground?${query.toString()}`);
    await page.getByRole('button', { name: 'Run' }).click();
    await answersOf(page, 1);
    expect(await page.locator('.answer :not(p, span, div)').count()).toBe(0);
  });

  it('is text in file names and examples', async () => {
    const { page, server } = await openConsole('#/training');
    const line = JSON.stringify({ prompt: MARKUP, completion: MARKUP });
    const name = `${MARKUP}.jsonl`.replaceAll('/', '\u2215');
    await page.locator('input[type=file]').setInputFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(line) });
    await page.getByText('1 example').waitFor();
    expect(await page.locator('.example-text').innerText()).toContain(MARKUP);
    expect(await page.locator('h3').first().innerText()).toContain('<img src=x');
    await page.goto(`${server.url}/console/#/prefixes?name=${encodeURIComponent(MARKUP)}`);
    await page.getByText('There is no prefix “<img').waitFor();
    await page.locator('input[type=file]').setInputFiles({ name: name.replace('.jsonl', '.txt'), mimeType: 'text/plain', buffer: Buffer.from('x') }); // prettier-ignore
    await page.getByText('not taken').waitFor();
    expect(await page.locator('img, main script').count()).toBe(0);
    expect(await page.evaluate('globalThis.pwned')).toBeUndefined();
  });
});
