import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

import { chromium, type Page } from 'playwright-core';
import { inject, onTestFinished } from 'vitest';

/** A form: texts, and contents of files in base64. */
export type Form = Readonly<Record<string, string | { readonly base64: string }>>;

/** What a page sends by `fetch`. */
export interface Asked {
  readonly method?: string;
  readonly mode?: 'cors' | 'no-cors';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Instead of a body. */
  readonly form?: Form;
}

/** What a page may know of an answer. */
interface Known {
  /** `basic`, `cors`, `opaque` (nothing may be known), or `TypeError` (the browser blocked it). */
  readonly type: string;
  readonly status?: number;
  readonly requestId?: string | null;
  readonly text?: string;
}

/** A page in a browser. */
export interface WebPage {
  readonly page: Page;
  /** Lets it submit a form, as it could without a script. Returns the status of the answer. */
  submitForm(url: string, form: Form): Promise<number>;
  /** Lets it call `fetch`. */
  ask(url: string, asked?: Asked): Promise<Known>;
}

/**
 * Opens a page in a Chromium of its own, closed when the test is over. Every name below `example` is this machine.
 * @param url address of the page; an answer with an error is a page too
 */
export async function openPage(url: string): Promise<WebPage> {
  const page = await newPage();
  await page.goto(url);
  return {
    page,
    async submitForm(to, form) {
      const answered = page.waitForResponse(to);
      await page.evaluate(`submitForm(${JSON.stringify(to)}, ${JSON.stringify(form)})`);
      return (await answered).status();
    },
    ask: (to, asked = {}) => page.evaluate(`ask(${JSON.stringify(to)}, ${JSON.stringify(asked)})`),
  };
}

async function newPage(): Promise<Page> {
  const found = inject('chromium');
  if (found === null) throw new Error('there is no chromium-headless-shell');
  const browser = await chromium.launch({
    executablePath: found.program,
    env: { ...process.env, ...(found.libraries && { LD_LIBRARY_PATH: found.libraries }) },
    args: [
      '--host-resolver-rules=MAP *.example 127.0.0.1',
      // Chromium would keep some pages from this machine by itself; other browsers do not.
      '--disable-features=LocalNetworkAccessChecks',
    ],
    // Chromium refuses to sandbox what root starts.
    chromiumSandbox: process.getuid?.() !== 0,
  });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  await page.addInitScript({ path: path.join(import.meta.dirname, 'in-page.mjs') });
  return page;
}

/** Serves an empty page at every name of this machine, until the test is over. Returns the port. */
export async function serveEmptyPage(): Promise<number> {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>A page</title>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
