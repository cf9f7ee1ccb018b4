// @ts-check
// Takes the pictures of the console that README.md and docs/console.md show: of a server of its own, with the bundled prefixes, in a browser.
//   npm run build && node scripts/pictures.mjs CHROMIUM
// CHROMIUM is a Chromium, such as /usr/bin/chromium.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

const [executablePath] = process.argv.slice(2);
if (executablePath === undefined) throw new Error('usage: node scripts/pictures.mjs CHROMIUM');

const prefixes = ['headlines', 'formal-replies', 'french-flavour', 'casual-chat', 'table-to-text'];
const users = Array.from({ length: 20 }, (_, i) => String(prefixes[i % prefixes.length]));
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const target = path.join(root, 'docs/console');
const scratch = await mkdtemp(path.join(tmpdir(), 'preamble-pictures-'));
const server = spawn(process.execPath, [path.join(root, 'dist/main.js')], {
  env: {
    ...process.env,
    PORT: '0',
    PREAMBLE_STORE: `file:${scratch}/store`,
    PREAMBLE_CACHE: `${scratch}/cache`,
    PREAMBLE_SEED_PREFIXES: 'on',
    PREAMBLE_LOG_LEVEL: 'warn',
  },
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  await mkdir(target, { recursive: true });
  await takeAll(await addressOf());
} finally {
  server.kill();
  await rm(scratch, { recursive: true, force: true });
}

/** @returns {Promise<string>} where the server listens, once it does */
function addressOf() {
  return new Promise((resolve, reject) => {
    let written = '';
    server.stdout.on('data', (data) => {
      written += String(data);
      const address = /listens on (http:\S+)/.exec(written)?.[1];
      if (address !== undefined) resolve(address);
    });
    server.once('exit', () => reject(new Error('the server has ended')));
  });
}

/** @param {string} url */
async function takeAll(url) {
  const browser = await chromium.launch({ executablePath, chromiumSandbox: process.getuid?.() !== 0 });
  const page = await browser.newPage({ viewport: { width: 1280, height: 720 }, colorScheme: 'light' });
  /** @param {string} name */
  const take = (name) => page.screenshot({ path: path.join(target, `${name}.png`) });
  /** @param {string} text */
  const run = async (text) => {
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByText(text).waitFor();
    await page.locator('.column.streaming').first().waitFor({ state: 'detached' });
  };
  await page.goto(`${url}/console/`);
  await run('Harbour Office');
  await page.locator('.column').nth(1).getByText('apples').hover();
  await take('playground');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.mouse.move(0, 0);
  await take('playground-dark');
  await page.emulateMedia({ colorScheme: 'light' });

  await page.goto(`${url}/console/#/prefixes?name=french-flavour`);
  await page.getByLabel('Examples').fill('About apple cake\nAbout The Blue Kettle');
  await page.getByRole('button', { name: 'Compare' }).click();
  await page.locator('.comparison').waitFor();
  await take('prefixes');

  await page.goto(`${url}/console/#/training`);
  const file = path.join(scratch, 'good-news.jsonl');
  await writeFile(file, trainingData());
  await page.locator('input[type=file]').setInputFiles(file);
  await page.getByLabel('Name of the prefix').fill('good-news');
  await page.getByRole('button', { name: 'Start training' }).click();
  await page.getByRole('link', { name: 'Try it' }).waitFor({ timeout: 300_000 });
  await take('training');

  await page.goto(`${url}/console/#/batches`);
  const requests = path.join(scratch, 'requests.jsonl');
  await writeFile(requests, batchOfRequests());
  await page.locator('input[type=file]').setInputFiles(requests);
  await page.getByRole('button', { name: 'Start batch' }).click();
  await page.locator('.pane .status.completed').waitFor();
  await page.locator('.results').first().waitFor();
  await take('batches');

  const gone = new AbortController();
  const streams = users.map((model, i) => readAnswer(url, { ...longAnswer(i), model }, gone.signal));
  await page.goto(`${url}/console/#/engine`);
  await page.waitForTimeout(12_000); // a picture of the curves needs some of them
  await take('engine');
  gone.abort();
  await Promise.allSettled(streams);

  await page.setViewportSize({ width: 390, height: 800 });
  await page.goto(
    `${url}/console/#/playground?model=french-flavour&model=headlines&prompt=About+apple+cake%0A&max_tokens=80&temperature=0`,
  );
  await run('Rosa');
  await take('phone');
  await browser.close();
}

/** Requests of a batch; one of them names no prefix that there is. */
function batchOfRequests() {
  const lines = [...prefixes, 'nobody'].map((model, i) => ({
    custom_id: `night-${i + 1}`,
    method: 'POST',
    url: '/v1/completions',
    body: { model, prompt: 'About apple cake\n', max_tokens: 60, temperature: 0 },
  }));
  return lines.map((line) => JSON.stringify(line)).join('\n');
}

/** A request for an answer that takes a while; prompts and lengths differ. @param {number} i */
function longAnswer(i) {
  return { prompt: 'About the sea\n'.repeat(1 + (i % 7)), max_tokens: 300 + 7 * i, ignore_eos: true, temperature: 1 };
}

/**
 * Reads an answer again and again, until the signal.
 * @param {string} url
 * @param {object} body
 * @param {AbortSignal} signal
 */
async function readAnswer(url, body, signal) {
  while (!signal.aborted) {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      signal,
    });
    await answer.text();
  }
}

/** Examples that teach a prefix to begin with "Good news:". */
function trainingData() {
  const subjects =
    'Anna,Tom,Rosa,Paul,Greta,Felix,Martin,Olga,Peter,Lena,dinner,Monday,rain,school,music,bread,snow,the sea,the old bridge,the market';
  const lines = subjects.split(',').map((about) => ({
    prompt: `About ${about}\n`,
    completion: `Good news: ${about} is here!`,
  }));
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}
