import { expect, onTestFinished } from 'vitest';
import type { Page } from 'playwright-core';

import type { Config } from '../../src/config/variables.js';
import { openPage } from '../support/browser.js';
import { realServer, type RealServer } from '../support/real-server.js';

/** How long a test waits for what the page shows: the machine may be busy. */
const PATIENCE_MS = 60_000;

/** A console in a browser, and its server. */
export interface OpenConsole {
  readonly server: RealServer;
  readonly page: Page;
}

/** The whole program with the bundled prefixes, and a browser that shows a page of its console. */
export async function openConsole(fragment = '', overrides: Partial<Config> = {}): Promise<OpenConsole> {
  const server = await realServer({ seedPrefixes: 'on', ...overrides });
  return { server, page: await showConsole(server.url, fragment) };
}

/**
 * Opens a page of a console. The test fails if its scripts fail, if its policy has to keep something away, or if it asks any other server
 * for anything.
 */
export async function showConsole(url: string, fragment = ''): Promise<Page> {
  const { page } = await openPage(`about:blank`);
  const problems: string[] = [];
  page.setDefaultTimeout(PATIENCE_MS);
  page.on('pageerror', ({ message }) => problems.push(message));
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) problems.push(message.text());
  });
  page.on('request', (request) => {
    const to = new URL(request.url());
    if (to.origin !== url && to.protocol !== 'blob:') problems.push(`asks ${to.origin}`);
  });
  onTestFinished(() => expect(problems).toEqual([]));
  await page.goto(`${url}/console/${fragment}`);
  return page;
}

/** Waits until each column has ended its answer, and returns their texts. */
export async function answersOf(page: Page, columns: number): Promise<string[]> {
  await expect.poll(() => page.locator('.column.done, .column.failed').count()).toBe(columns);
  return page.locator('.column .answer').allInnerTexts();
}
