import type { Page } from 'playwright-core';
import { describe, expect, inject, it } from 'vitest';

import { answersOf, openConsole } from './console.js';

/** Replaces what a field has, key by key, and returns what it has then. */
async function typeInto(page: Page, label: string, text: string): Promise<string> {
  const field = page.getByLabel(label, { exact: true });
  await field.selectText();
  await page.keyboard.press('Delete');
  await page.keyboard.type(text);
  return field.inputValue();
}

describe.skipIf(inject('chromium') === null)('a number that is typed key by key', () => {
  it('is what the playground sends', async () => {
    const { page } = await openConsole();
    await page.getByText('Parameters').click();
    expect(await typeInto(page, 'Temperature', '0.05')).toBe('0.05');
    expect(await typeInto(page, 'Top p', '0.50')).toBe('0.50');
    expect(await typeInto(page, 'Min p', '1e-3')).toBe('1e-3');
    expect(await typeInto(page, 'Presence penalty', '-1.5')).toBe('-1.5');
    expect(await typeInto(page, 'Seed', '')).toBe('');
    await page.getByRole('button', { name: 'Show code' }).click();
    const code = await page.locator('pre.code').innerText();
    expect(code).toMatch(/"temperature": 0.05,\s+"top_p": 0.5,\s+"min_p": 0.001,\s+"presence_penalty": -1.5\s/);
  });

  it('is what a training begins with, until a preset has others', async () => {
    const { page } = await openConsole('#/training');
    const buffer = Buffer.from(`${JSON.stringify({ prompt: 'a\n', completion: 'b' })}\n`);
    await page.locator('input[type=file]').setInputFiles({ name: 'a.jsonl', mimeType: 'text/plain', buffer });
    expect(await typeInto(page, 'Learning rate', '5e-4')).toBe('5e-4');
    expect(await typeInto(page, 'Learning rate', '0.005')).toBe('0.005');
    expect(await typeInto(page, 'Epochs', '')).toBe('');
    const asked = page.waitForRequest(/fine_tuning.jobs$/);
    await page.getByRole('button', { name: 'Start training' }).click();
    expect((await asked).postDataJSON()).toMatchObject({
      hyperparameters: { n_epochs: 0 },
      prefix_tuning: { learning_rate: 0.005 },
    });
    await page.getByText('As in the paper').click();
    expect(await page.getByLabel('Learning rate', { exact: true }).inputValue()).toBe('0.00005');
    expect(await page.getByLabel('Epochs', { exact: true }).inputValue()).toBe('10');
  });

  it('is refused by the server where it is out of range, with its field hidden too', async () => {
    const { page } = await openConsole('#/playground?model=headlines&prompt=x&temperature=-5&max_tokens=1e300');
    await page.getByRole('button', { name: 'Run' }).click();
    const [told] = await answersOf(page, 1);
    expect(told).toMatch(/temperature|max_tokens/);
  });
});
