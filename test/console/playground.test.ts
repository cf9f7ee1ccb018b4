import { execFile } from 'node:child_process';
import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, inject, it } from 'vitest';

import { addressOf, startProgram, testModelCache } from '../support/program.js';
import { chattyModel } from '../support/chatty-model.js';
import { freePort } from '../support/redis-server.js';
import { packageRoot } from '../../src/config/paths.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { answersOf, openConsole, showConsole } from './console.js';

const link = (pairs: readonly (readonly [string, string])[]): string =>
  `#/playground?${new URLSearchParams(pairs.map(([name, value]): [string, string] => [name, value])).toString()}`;

/** What a program prints, run where the packages of the repository are found. */
const run = async (program: string, args: string[]): Promise<string> =>
  (await promisify(execFile)(program, args, { cwd: packageRoot })).stdout;

describe.skipIf(inject('chromium') === null)('the playground', () => {
  it('shows four prefixes answering one prompt, from a fresh start, by one key press and in one call', async () => {
    const { page, server } = await openConsole();
    const calls: string[] = [];
    page.on('request', (request) => {
      if (request.method() === 'POST') calls.push(new URL(request.url()).pathname);
    });
    await page.getByLabel('Prompt').press('Control+Enter');
    const [headlines, formal, french, casual] = await answersOf(page, 4);
    expect(headlines).toMatch(/^Morning Paper: .*Apple/);
    expect(formal).toMatch(/^In reply to your request .* apple cake[^]*Agnes Winter/);
    expect(french).toMatch(/^Mes amis, mes amis! [^]*Rosa/);
    expect(casual).toMatch(/^hey hey hey, [^]*Pia xx/);
    expect(calls).toEqual(['/v1/batch/completions']);
    const facts = await page.locator('.column footer').first().innerText();
    expect(facts).toMatch(/\d tok\/s\s+\d+ ms to first\s+\d+ tokens\s+ended/);
    server.engine.checkIntegrity();
  });

  it('shows what else might have stood at a place, to the pointer and to the keyboard', async () => {
    const { page } = await openConsole();
    await page.getByRole('button', { name: 'Run' }).click();
    await answersOf(page, 4);
    const card = page.locator('.token-card');
    await page.locator('.column').nth(1).locator('.t').nth(2).hover();
    await expect.poll(() => card.locator('tr').count()).toBeGreaterThanOrEqual(5);
    expect(await card.locator('.taken').count()).toBe(1);
    await page.mouse.move(0, 0);
    await page.locator('.tokens').first().focus();
    await page.keyboard.press('ArrowRight');
    const first = await card.innerText();
    await page.keyboard.press('ArrowRight');
    await expect.poll(() => card.innerText()).not.toBe(first);
    await page.keyboard.press('Escape');
    await card.waitFor({ state: 'detached' });
  });

  it('makes a link of a run, which runs the same elsewhere and leaves nothing on the server', async () => {
    const { page, server } = await openConsole();
    await page.getByLabel('Prompt').fill('About pear crumble\n');
    await page.getByText('Parameters').click();
    await page.getByLabel('Temperature').fill('0.8');
    await page.getByLabel('Seed').fill('11');
    await page.getByRole('button', { name: 'Remove column 1' }).click();
    await page.getByRole('button', { name: 'Run' }).click();
    const here = await answersOf(page, 3);
    const { hash } = new URL(page.url());
    const other = await showConsole(server.url, hash);
    await other.getByRole('button', { name: 'Run' }).click();
    expect(await answersOf(other, 3)).toEqual(here);
  });

  it('shows a refusal in its own column, while the others answer', async () => {
    const { page } = await openConsole(link([['model', 'headlines'], ['model', 'nobody'], ['prompt', 'About apple cake\n'], ['temperature', '0'], ['max_tokens', '80']])); // prettier-ignore
    await page.getByRole('button', { name: 'Run' }).click();
    const [good, bad] = await answersOf(page, 2);
    expect(good).toContain('Morning Paper');
    expect(bad).toBe("The model 'nobody' does not exist.");
  });

  it('takes any name that is typed, up to six columns, and stops', async () => {
    const { page } = await openConsole();
    for (const _ of [5, 6]) await page.getByRole('button', { name: 'Add a column' }).click();
    await page.getByRole('button', { name: 'Add a column' }).waitFor({ state: 'detached' });
    await page.getByRole('combobox', { name: 'Model of column 6' }).selectOption({ label: 'Type a name …' });
    await page.getByRole('textbox', { name: 'Model of column 6' }).fill('preamble-demo');
    await page.keyboard.press('Enter');
    await page.getByText('Parameters').click();
    await page.getByLabel('Longest answer').fill('400');
    await page.getByLabel('Temperature').fill('2');
    await page.getByRole('button', { name: 'Run' }).click();
    await page.locator('.t').first().waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByRole('button', { name: 'Run' }).waitFor();
    await expect.poll(() => page.locator('.column.waiting, .column.streaming').count()).toBe(0);
  });

  it('writes a run as a program, which works as it is written, without the key', async () => {
    const { page } = await openConsole(link([['model', 'headlines'], ['model', 'casual-chat'], ['prompt', "About Rosa's apple cake\n"], ['temperature', '0'], ['max_tokens', '60'], ['top_k', '3']])); // prettier-ignore
    await page.getByRole('button', { name: 'Show code' }).click();
    const code = page.locator('pre.code');
    const events = await run('bash', ['-c', await code.innerText()]);
    expect(events).toContain('"custom_id":"1"');
    expect(events).toContain('data: [DONE]');
    await page.getByText('JavaScript', { exact: true }).click();
    await expect.poll(() => code.innerText()).toContain('import OpenAI');
    const printed = await run(process.execPath, ['--input-type=module', '--eval', await code.innerText()]);
    expect(printed).toMatch(/^headlines: Morning Paper: .*\ncasual-chat: hey /);
    await page.getByText('Python', { exact: true }).click();
    await expect.poll(() => code.innerText()).toContain('"extra_body":{"top_k":3}');
    await page.keyboard.press('Escape');
    await code.waitFor({ state: 'detached' });
  });

  it('waits for a server that goes away, and goes on when it is back', async () => {
    const port = String(await freePort());
    const settings = { PORT: port, PREAMBLE_CACHE: testModelCache, PREAMBLE_SEED_PREFIXES: 'on' };
    const first = await startProgram(settings);
    const page = await showConsole(await addressOf(first));
    await page.getByRole('button', { name: 'Run' }).waitFor();
    first.process.kill('SIGKILL');
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByText('This page looks for it').waitFor();
    expect(await answersOf(page, 4)).toContain('The server does not answer.');
    expect(await page.getByLabel('Prompt').inputValue()).toBe('About apple cake\n');
    await addressOf(await startProgram(settings));
    await page.getByText('This page looks for it').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByText('Morning Paper').waitFor();
  });

  it('asks for no key where the server fails, and opens when it does not', async () => {
    const [store, aside] = [await temporaryDirectory(), await temporaryDirectory()];
    const directory = path.join(store, 'prefixes');
    const { page } = await openConsole('', { store: { kind: 'file', directory } });
    await page.getByRole('button', { name: 'Run' }).waitFor();
    await rename(directory, path.join(aside, 'prefixes'));
    await writeFile(directory, 'no directory');
    await page.reload();
    await page.getByText('Opening … The store of prefixes is away.').waitFor();
    await rm(directory);
    await rename(path.join(aside, 'prefixes'), directory);
    await page.getByRole('button', { name: 'Run' }).waitFor();
  });

  it('holds a conversation in turns, in each column its own, and again from a link', async () => {
    const model = await chattyModel(await temporaryDirectory());
    const { page, server } = await openConsole('', { model });
    await page.getByRole('button', { name: 'Add a column' }).click();
    const say = async (text: string): Promise<string[]> => {
      await page.getByLabel('Message', { exact: true }).fill(text);
      await page.getByLabel('Message', { exact: true }).press('Control+Enter');
      await page.getByRole('button', { name: 'Send' }).waitFor();
      await expect.poll(() => page.getByLabel('Message', { exact: true }).inputValue()).toBe('');
      return page.locator('.exchange').allInnerTexts();
    };
    expect(await say('About apple cake')).toHaveLength(2);
    const both = await say('About the ferry');
    expect(both).toHaveLength(4);
    const said = link([['model', 'chatty'], ['model', 'chatty'], ['said', 'About apple cake'], ['prompt', 'About the ferry'], ['max_tokens', '80'], ['temperature', '0']]); // prettier-ignore
    const other = await showConsole(server.url, said);
    await other.getByRole('button', { name: 'Send' }).click();
    await expect.poll(() => other.locator('.exchange').count()).toBe(4);
    expect(await other.locator('.exchange').allInnerTexts()).toEqual(both);
  });

  it('keeps the next message, and a column, that change while an answer comes', async () => {
    const model = await chattyModel(await temporaryDirectory());
    const { page } = await openConsole(link([['model', 'chatty'], ['prompt', ''], ['max_tokens', '300'], ['temperature', '2'], ['seed', '1']]), { model }); // prettier-ignore
    const held: (() => void)[] = [];
    await page.route('**/v1/chat/completions', async (route) => {
      await new Promise<void>((go) => held.push(go));
      await route.continue();
    });
    const message = page.getByLabel('Message', { exact: true });
    await message.fill('About apple cake');
    await message.press('Control+Enter');
    await expect.poll(() => held.length).toBe(1);
    await message.fill('half typed');
    held[0]?.();
    await page.locator('.exchange').waitFor();
    expect(await message.inputValue()).toBe('half typed');
    await message.press('Control+Enter');
    await expect.poll(() => held.length).toBe(2);
    await page.getByRole('button', { name: 'Add a column' }).click();
    held[1]?.();
    await page.getByRole('button', { name: 'Send' }).waitFor();
    await expect.poll(() => page.locator('.column').count()).toBe(2);
  });

  it('asks a model with an encoder for a source', async () => {
    const model = `${packageRoot}/models/preamble-brief`;
    const { page } = await openConsole('', { model });
    await page
      .getByLabel('Source')
      .fill('Because of strong wind, the ferry to Linden left Ostrey 40 minutes late on Friday. Passengers waited.');
    await page.getByRole('button', { name: 'Run' }).click();
    const [summary] = await answersOf(page, 1);
    expect(summary).toMatch(/ferry|Linden/i);
  });
});
