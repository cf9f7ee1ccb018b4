import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Page } from 'playwright-core';
import { describe, expect, inject, it } from 'vitest';

import { bundledPrefixes } from '../../src/config/paths.js';
import { openConsole } from './console.js';

interface Picked {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
}

/** A file of `headlines`, as it is or changed. */
async function file(name: string, change: (content: Buffer) => Buffer | string = (same) => same): Promise<Picked> {
  const content = await readFile(join(bundledPrefixes, 'headlines', name));
  return { name, mimeType: 'application/octet-stream', buffer: Buffer.from(change(content)) };
}

const config = (changes: object = {}): Promise<Picked> =>
  file('adapter_config.json', (content) =>
    JSON.stringify({ ...(JSON.parse(content.toString()) as object), ...changes }),
  );
const model = (change?: (content: Buffer) => Buffer): Promise<Picked> => file('adapter_model.safetensors', change);

async function store(page: Page, name: string, files: Picked[]): Promise<void> {
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.locator('input[type=file]').setInputFiles(files);
  await page.getByRole('button', { name: 'Store' }).click();
}

describe.skipIf(inject('chromium') === null)('the page of prefixes', () => {
  it('stores two files that are dropped, tries, downloads, compares and deletes', async () => {
    const { page, server } = await openConsole('#/prefixes');
    await page.getByText('5 prefixes').waitFor();
    const files = [await config(), await model()];
    const parts = JSON.stringify(files.map(({ name, buffer }) => ({ name, bytes: [...buffer] })));
    const dropped = await page.evaluateHandle(`(() => {
      const transfer = new DataTransfer();
      for (const { name, bytes } of ${parts}) transfer.items.add(new File([new Uint8Array(bytes)], name));
      return transfer;
    })()`);
    await page.locator('.drop-zone').dispatchEvent('drop', { dataTransfer: dropped });
    await page.getByLabel('Name', { exact: true }).fill('users/alice');
    await page.getByRole('button', { name: 'Store' }).click();
    await page.getByText('16 virtual tokens').waitFor();
    await page.getByText('6 prefixes').waitFor();

    await page.getByRole('link', { name: /^users\/alice keys and values/ }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: /Download adapter_model/ }).click();
    expect(await readFile(await (await download).path())).toEqual(files[1]?.buffer);

    await page.getByLabel('Examples').fill('About apple cake');
    await page.getByRole('button', { name: 'Compare' }).click();
    await page.locator('.comparison').waitFor();
    const [base, own] = await page.locator('.comparison .answer-text').allInnerTexts();
    expect(own).toContain('Morning Paper');
    expect(base).not.toContain('Morning Paper');

    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Keep' }).click();
    expect((await fetch(`${server.url}/v1/prefixes/users%2Falice`)).status).toBe(200);
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByText('5 prefixes').waitFor();
    expect((await fetch(`${server.url}/v1/prefixes/users%2Falice`)).status).toBe(404);
  });

  it('says at its place what is refused, in words', async () => {
    const { page } = await openConsole('#/prefixes');
    const told = (): Promise<string[]> => page.locator('.field-problem, .notice.problem').allInnerTexts();
    await page.getByRole('button', { name: 'Store' }).click();
    expect(await told()).toEqual([
      'Give it a name.',
      'Choose adapter_config.json.',
      'Choose adapter_model.safetensors.',
    ]);

    const refused = async (name: string, files: Picked[], words: RegExp, place: string): Promise<void> => {
      await store(page, name, files);
      await expect.poll(async () => (await page.locator(place).allInnerTexts()).join(' ')).toMatch(words);
    };
    const good = [await config(), await model()];
    await refused('not a name!', good, /name/, '.field-problem');
    await refused('preamble-demo', good, /base model/, '.field-problem');
    const adapterConfig = '.chosen-file:has-text("adapter_config")';
    const adapterModel = '.chosen-file:has-text("adapter_model")';
    await refused(
      'a',
      [await file('adapter_config.json', () => '{"peft_type": '), await model()],
      /JSON/,
      adapterConfig,
    );
    await refused('a', [await config({ peft_type: 'LORA' }), await model()], /LORA/, adapterConfig);
    await refused(
      'a',
      [await config(), await model((all) => all.subarray(0, 99))],
      /truncated|bytes|header/i,
      adapterModel,
    );
    const template = {
      name: 'chat_template.jinja',
      mimeType: 'text/plain',
      buffer: Buffer.from('{% for message in %}'),
    };
    await refused('a', [...good, template], /chat_template: /, '.chosen-file:has-text("chat_template")');
    await page.reload();
    const other = await config({ base_model_name_or_path: 'somebody/other' });
    await store(page, 'warned', [other, await model()]);
    await page.locator('.notice.good', { hasText: 'somebody/other' }).waitFor();
    await page.locator('input[type=file]').setInputFiles([{ ...other, name: 'notes.txt' }]);
    await expect.poll(told).toEqual([expect.stringContaining('“notes.txt”: not taken')]);
    await page.getByText('A text', { exact: true }).click();
    await page.getByLabel('Text', { exact: true }).fill('hello '.repeat(3000));
    await page.getByRole('button', { name: 'Store' }).click();
    await expect.poll(told).toEqual([expect.stringMatching(/context|virtual tokens/)]);
  });

  it('stores a text as a prefix', async () => {
    const { page, server } = await openConsole('#/prefixes');
    await page.getByText('A text', { exact: true }).click();
    await page.getByLabel('Name', { exact: true }).fill('polite');
    await page.getByLabel('Text', { exact: true }).fill('Dear Sir or Madam,');
    await page.getByRole('button', { name: 'Store' }).click();
    await page.getByText('Stored as').waitFor();
    const stored = await (await fetch(`${server.url}/v1/prefixes/polite`)).json();
    expect(stored).toMatchObject({ kind: 'text' });
  });
});
