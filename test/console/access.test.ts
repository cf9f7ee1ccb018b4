import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { describe, expect, inject, it } from 'vitest';

import { answersOf, openConsole } from './console.js';

const adminKey = 'wallaby-administers';
const apiKeys = [{ tenant: 'alice', key: 'alice-key' }];

interface Finding {
  readonly id: string;
  readonly impact: string;
  readonly nodes: { readonly html: string }[];
}

/** What axe-core finds on the page that is serious. */
async function findingsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<{ violations: Finding[] }>('axe.run()');
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  return serious.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}

/** Every page, with what shows its content. */
const PAGES = [
  ['#/playground', 'Show code'],
  ['#/prefixes?name=headlines', 'Examples'],
  ['#/prefixes', 'Choose files'],
  ['#/training', 'Choose a file'],
  ['#/batches', 'Drop a file'],
  ['#/engine', 'Since the start'],
  ['#/tenants?tenant=alice', 'Create key'],
] as const;

describe.skipIf(inject('chromium') === null)('the console', () => {
  it.each(['light', 'dark'] as const)('has no serious finding of axe-core on any page, %s', async (colorScheme) => {
    const { page, server } = await openConsole('', { adminKey, apiKeys });
    await page.emulateMedia({ colorScheme });
    expect(await findingsOf(page)).toEqual([]);
    await page.evaluate(
      `sessionStorage['preamble.key'] = 'alice-key'; sessionStorage['preamble.operator-key'] = '${adminKey}'`,
    );
    await page.reload();
    await page.getByRole('button', { name: 'Run' }).click();
    await answersOf(page, 4);
    await page.locator('.t').first().hover();
    expect(await findingsOf(page)).toEqual([]);
    for (const [fragment, content] of PAGES) {
      await page.goto(`${server.url}/console/${fragment}`);
      await page.getByText(content).first().waitFor();
      expect(await findingsOf(page), fragment).toEqual([]);
    }
  });

  it('fits a phone on every page', async () => {
    const { page, server } = await openConsole('', { adminKey, apiKeys });
    await page.setViewportSize({ width: 360, height: 740 });
    await page.evaluate(
      `sessionStorage['preamble.key'] = 'alice-key'; sessionStorage['preamble.operator-key'] = '${adminKey}'`,
    );
    await page.reload();
    for (const [fragment, content] of PAGES) {
      await page.goto(`${server.url}/console/${fragment}`);
      await page.getByText(content).first().waitFor();
      expect(await page.evaluate('document.documentElement.scrollWidth'), fragment).toBeLessThanOrEqual(360);
    }
  });

  it('is used with the keyboard alone', async () => {
    const { page } = await openConsole();
    await page.getByRole('button', { name: 'Run' }).waitFor();
    const focused = (): Promise<string> => page.evaluate<string>('document.activeElement.textContent.trim()');
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Skip to content');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.type('About fish pie');
    for (let tabs = 0; (await focused()) !== 'Run Ctrl ↵' && tabs < 5; tabs++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await answersOf(page, 4);
    const reached: string[] = [];
    for (let tabs = 0; tabs < 24; tabs++) {
      await page.keyboard.press('Tab');
      reached.push(await page.evaluate<string>("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent")); // prettier-ignore
    }
    expect(reached).toEqual(expect.arrayContaining(['Model of column 4', 'Remove column 4', 'Add a column', 'Show code'].map((name): unknown => expect.stringContaining(name)))); // prettier-ignore
  });

  it('has colours of the system, light ones and dark ones', async () => {
    const { page } = await openConsole();
    await page.emulateMedia({ colorScheme: 'light' });
    const paper = (): Promise<string> => page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    const light = await paper();
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await paper();
    expect(dark).not.toBe(light);
    await page.getByRole('button', { name: 'Colours: system' }).click();
    expect(await paper()).toBe(light);
    await page.reload();
    await page.getByRole('button', { name: 'Colours: light' }).click();
    expect(await paper()).toBe(dark);
  });
});
