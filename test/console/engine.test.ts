import { describe, expect, inject, it } from 'vitest';

import type { RealServer } from '../support/real-server.js';
import { openConsole } from './console.js';

const adminKey = 'wallaby-administers';
const apiKeys = [{ tenant: 'quokka', key: 'quokka-key' }];

/** Sends requests that run until `leave` aborts them. */
function keepBusy({ url }: RealServer, key: string, leave: AbortSignal): Promise<unknown> {
  const body = { model: 'preamble-demo', prompt: 'About platypus\n', n: 3, max_tokens: 480, ignore_eos: true };
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const ask = async (): Promise<void> => {
    while (!leave.aborted) {
      const options = { method: 'POST', headers, body: JSON.stringify(body), signal: leave };
      await fetch(`${url}/v1/completions`, options).then((answer) => answer.text(), () => undefined); // prettier-ignore
    }
  };
  return ask();
}

describe.skipIf(inject('chromium') === null)('the page of the engine', () => {
  it('shows slots, figures and their last minute on a server without keys, as cells and as a table', async () => {
    const { page, server } = await openConsole('#/engine');
    const leave = new AbortController();
    const busy = keepBusy(server, 'none', leave.signal);
    await page.getByRole('img', { name: /^4 slots: 3 decode, 1 free; 1 tenant$/ }).waitFor();
    await expect.poll(() => page.locator('.cell.decode:not(.sample)').allInnerTexts()).toEqual(['1', '1', '1']);
    await expect.poll(() => page.locator('.figures .sparkline .line').count()).toBe(4);
    await expect.poll(async () => Number(await page.locator('.figures b').first().innerText())).toBeGreaterThan(0);
    await page.getByLabel('As a table').check();
    await expect.poll(() => page.locator('.slot-table tbody tr').first().innerText()).toMatch(/^0\s+decode\s+1\s+interactive\s+\d+$/); // prettier-ignore
    leave.abort();
    await busy;
    await expect.poll(() => page.locator('.slot-table tbody').innerText()).not.toMatch(/decode|prefill/);
    await page.getByLabel('As a table').uncheck();
    await page.getByRole('img', { name: '4 slots: 4 free' }).waitFor();
  });

  it('asks for the operator’s key where there are keys, and names no tenant', async () => {
    const { page, server } = await openConsole('#/engine', { adminKey, apiKeys });
    await page.getByRole('heading', { name: 'The operator’s key' }).waitFor();
    await page.getByLabel('Key').fill('quokka-key');
    await page.getByRole('button', { name: 'Use this key' }).click();
    await page.getByText('does not accept this as the operator’s key').waitFor();
    await page.getByLabel('Key').fill(adminKey);
    await page.getByRole('button', { name: 'Use this key' }).click();
    const leave = new AbortController();
    const busy = keepBusy(server, 'quokka-key', leave.signal);
    await page.locator('.cell.decode:not(.sample)').first().waitFor();
    expect(await page.locator('main').innerText()).not.toMatch(/quokka|platypus/);
    leave.abort();
    await busy;
  });

  it('says when the connection is lost, and connects again by itself', async () => {
    const { page, server } = await openConsole('#/engine');
    const status = page.locator('.link-state');
    await expect.poll(() => status.innerText()).toBe('live');
    server.server.app.server.closeAllConnections();
    await page.getByText('connection lost').waitFor();
    await expect.poll(() => status.innerText()).toBe('live');
  });

  it('lets the engine alone when it is left', async () => {
    const { page, server } = await openConsole('#/engine');
    const nobody = { admitted: nothing, promptLookedUp: nothing, stepped: nothing, firstToken: nothing, verified: nothing, nextToken: nothing, ended: nothing }; // prettier-ignore
    await page.getByText('Since the start').waitFor();
    expect(() => server.engine.watch(nobody)).toThrow('a watcher already');
    await page.getByRole('link', { name: 'Prefixes' }).click();
    await expect.poll(() => isUnwatched(() => server.engine.watch(nobody))).toBe(true);
  });
});

function nothing(): void {}

function isUnwatched(watch: () => () => void): boolean {
  try {
    watch()();
    return true;
  } catch {
    return false;
  }
}
