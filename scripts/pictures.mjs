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

  await page.setViewportSize({ width: 390, height: 800 });
  await page.goto(
    `${url}/console/#/playground?model=french-flavour&model=headlines&prompt=About+apple+cake%0A&max_tokens=80&temperature=0`,
  );
  await run('Rosa');
  await take('phone');
  await browser.close();
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
