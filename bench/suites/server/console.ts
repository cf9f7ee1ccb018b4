import path from 'node:path';

import { chromium, type Browser, type Page } from 'playwright-core';

import { packageRoot } from '#src/config/paths.js';
import { findProgram } from '../../../test/support/debian-program.js';
import { openServer, type ServerContender } from '../../contenders/preamble.js';
import type { BenchContext, Finding, Suite } from '../../suite.js';

const STREAMS = 32;
const BROWSERS = 2;

/** Tokens per second, and CPU time per token of the server, in milliseconds. */
interface Rate {
  readonly decode: number;
  readonly cpuPerToken: number;
}

/** What the console's Engine page costs while it is open. */
export const consolePage: Suite = {
  name: 'console',
  question: `How many tokens per second have ${STREAMS} streams while ${BROWSERS} browsers show the engine, over none?`,
  async run(context) {
    const server = await openServer({ ...context, options: { ...context.options, rows: [STREAMS] } });
    const browsers: Browser[] = [];
    try {
      const pages: Page[] = [];
      for (let count = 0; count < BROWSERS; count++) {
        const browser = await openBrowser();
        browsers.push(browser);
        pages.push(await browser.newPage({ viewport: { width: 1280, height: 900 } }));
      }
      return await measureRounds(context, server, pages);
    } finally {
      for (const browser of browsers) await browser.close();
      await server.close();
    }
  },
};

/** Chromium without a window, fetched from Debian if none is installed. */
async function openBrowser(): Promise<Browser> {
  const name = 'chromium-headless-shell';
  const wanted = { name, package: name, path: `usr/lib/chromium/${name}` };
  const { program, libraries } = await findProgram(wanted, path.join(packageRoot, 'test/.cache'));
  const env = { ...process.env, ...(libraries !== '' && { LD_LIBRARY_PATH: libraries }) };
  return chromium.launch({ executablePath: program, env, chromiumSandbox: process.getuid?.() !== 0 });
}

/** A round has the streams with the page open and without, in an order that changes. Round 0 warms up. */
async function measureRounds(
  { options, log, keep }: BenchContext,
  server: ServerContender,
  pages: readonly Page[],
): Promise<Finding[]> {
  const shown: Rate[] = [];
  const alone: Rate[] = [];
  for (let round = 0; round <= options.repeats; round++) {
    const rates = new Map<boolean, Rate>();
    for (const isOpen of round % 2 === 0 ? [true, false] : [false, true]) {
      await Promise.all(pages.map((page) => (isOpen ? showEngine(page, server.url) : page.goto('about:blank'))));
      rates.set(isOpen, await server.measure(STREAMS));
    }
    const [open, closed] = [rates.get(true), rates.get(false)];
    if (open === undefined || closed === undefined) throw new Error('a round has both');
    log(`round ${round}  ${open.decode.toFixed(0)} tok/s with the page open, ${closed.decode.toFixed(0)} without`);
    if (round === 0) continue;
    shown.push(open);
    alone.push(closed);
    await keep(findings(shown, alone));
  }
  return findings(shown, alone);
}

async function showEngine(page: Page, url: string): Promise<void> {
  await page.goto(`${url}/console/#/engine`);
  await page.locator('.link-state.live').waitFor();
}

function findings(shown: readonly Rate[], alone: readonly Rate[]): Finding[] {
  const at = { rows: STREAMS };
  const ratios = (read: (rate: Rate) => number): number[] =>
    shown.map((rate, round) => read(rate) / read(alone[round] ?? rate));
  return [
    { what: 'with the page open', at, unit: 'tok/s', values: shown.map(({ decode }) => decode) },
    { what: 'without', at, unit: 'tok/s', values: alone.map(({ decode }) => decode) },
    {
      what: 'with the page open over without',
      at,
      unit: 'x',
      values: ratios(({ decode }) => decode),
      goal: { id: 'P50', atLeast: 0.98 },
    },
    {
      what: "the server's CPU time per token, open over without",
      at,
      unit: 'x',
      values: ratios(({ cpuPerToken }) => cpuPerToken),
    },
  ];
}
