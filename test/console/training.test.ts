import { describe, expect, inject, it } from 'vitest';

import { answersOf, openConsole } from './console.js';

const SUBJECTS = 'Anna Tom Rosa Paul Greta Felix Martin Olga Peter Lena David Clara dinner Monday rain school music bread snow trams'.split(' '); // prettier-ignore
const examples = SUBJECTS.map((about) => ({ prompt: `About ${about}\n`, completion: `Good news: ${about} is here!` }));
const lines = (values: readonly unknown[]): Buffer =>
  Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
const jsonl = (buffer: Buffer, name = 'news.jsonl') => ({ name, mimeType: 'application/jsonl', buffer });

describe.skipIf(inject('chromium') === null)('the page of training', () => {
  it('goes from a file to the playground', async () => {
    const { page } = await openConsole('#/training');
    await page.locator('input[type=file]').setInputFiles(jsonl(lines(examples)));
    await page.getByText('20 examples').waitFor();
    await page.getByText('nothing is cut').waitFor();
    expect(await page.locator('.example-text').first().innerText()).toBe('About Anna\nGood news: Anna is here!■');
    await page.getByLabel('Name of the prefix').fill('good-news');
    await page.getByRole('button', { name: 'Start training' }).click();
    await page.locator('.chart').waitFor();
    await page.getByRole('link', { name: 'Try it' }).waitFor();
    const { validation = '' } = /validation loss (?<validation>[\d.]+)/.exec((await page.locator('.chart svg').getAttribute('aria-label')) ?? '')?.groups ?? {}; // prettier-ignore
    expect(Number(validation)).toBeLessThan(2);
    await page.getByText('New model created: good-news@').waitFor();
    await page.getByRole('link', { name: 'Try it' }).click();
    await page.getByRole('button', { name: 'Run' }).click();
    const [base, trained] = await answersOf(page, 2);
    expect(trained).toMatch(/^Good news: /);
    expect(base).not.toMatch(/^Good news: /);
  });

  it('says which lines it cannot use, and starts with the server’s refusal in its place', async () => {
    const { page } = await openConsole('#/training');
    const bad = [...examples.slice(0, 3), { text: 'alone' }, ['no'], { prompt: 'a', completion: 7 }];
    await page.locator('input[type=file]').setInputFiles(jsonl(Buffer.concat([lines(bad), Buffer.from('{\n')])));
    await page.getByText('4 lines cannot be used, and left out').waitFor();
    await page.getByText("Line 4: 'prompt' is missing.").waitFor();
    await page.getByText('Line 7: this is not a JSON object.').waitFor();
    await page.getByLabel('Name of the prefix').fill('not a name!');
    await page.getByRole('button', { name: 'Start training' }).click();
    await expect.poll(() => page.locator('.settings .field-problem').allInnerTexts()).toEqual([expect.stringContaining("'suffix'")]); // prettier-ignore
  });

  it('shows examples that do not fit, and why a job fails', async () => {
    const { page } = await openConsole('#/training');
    await page.locator('input[type=file]').setInputFiles(jsonl(lines([...examples, { prompt: 'fog '.repeat(700), completion: 'x' }]))); // prettier-ignore
    await page.getByText('more than the 502 tokens that fit').waitFor();
    await page.getByRole('button', { name: 'Start training' }).click();
    await page.locator('.status.failed').first().waitFor();
    expect(await page.locator('.notice.problem').innerText()).toMatch(/line 21: at least \d+ tokens/);
  });

  it('cancels', async () => {
    const { page } = await openConsole('#/training');
    await page.locator('input[type=file]').setInputFiles(jsonl(lines(examples)));
    await page.getByLabel('Epochs', { exact: true }).fill('1000');
    await page.getByRole('button', { name: 'Start training' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Cancel training' }).click();
    await page.locator('.status.cancelled').first().waitFor();
  });

  it('shows a job whose file of losses was deleted', async () => {
    const { page, server } = await openConsole('#/training');
    await page.locator('input[type=file]').setInputFiles(jsonl(lines(examples)));
    await page.getByLabel('Epochs', { exact: true }).fill('1');
    await page.getByRole('button', { name: 'Start training' }).click();
    await page.getByRole('link', { name: 'Try it' }).waitFor();
    const jobs = await fetch(`${server.url}/v1/fine_tuning/jobs`);
    const { data } = (await jobs.json()) as { data: [{ result_files: [string] }] };
    await fetch(`${server.url}/v1/files/${data[0].result_files[0]}`, { method: 'DELETE' });
    await page.reload();
    await page.getByRole('link', { name: 'Try it' }).waitFor();
    await page.getByText('New model created').waitFor();
    await page.locator('.chart').waitFor();
  });
});
