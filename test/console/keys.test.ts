import { describe, expect, inject, it } from 'vitest';

import { answersOf, openConsole, showConsole } from './console.js';

const adminKey = 'wallaby-administers';
const apiKeys = [{ tenant: 'alice', key: 'alice-key' }];

describe.skipIf(inject('chromium') === null)('keys', () => {
  it('opens with a tenant’s key alone, keeps it in this tab, and sends it to this server only', async () => {
    const { page } = await openConsole('', { apiKeys });
    await page.getByLabel('Key', { exact: true }).fill('wrong-key');
    await page.getByRole('button', { name: 'Use this key' }).click();
    await page.getByText('does not accept this key').waitFor();
    await page.getByLabel('Key', { exact: true }).fill('alice-key');
    await page.getByRole('button', { name: 'Use this key' }).click();
    await page.getByRole('button', { name: 'Run' }).click();
    expect((await answersOf(page, 4))[0]).toContain('Morning Paper');
    expect(await page.locator('.who').innerText()).toContain('alice');
    const kept = await page.evaluate('[JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie, location.href]'); // prettier-ignore
    expect((kept as string[]).map((place) => place.includes('alice-key'))).toEqual([false, true, false, false]);
    await page.getByRole('button', { name: 'Show code' }).click();
    expect(await page.locator('pre.code').innerText()).not.toContain('alice-key');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Forget key' }).click();
    await page.getByLabel('Key', { exact: true }).waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
  });

  it('lets an operator make a tenant and keys, shows a key once, and a revoked one closes the page that uses it', async () => {
    const { page, server } = await openConsole('#/tenants', { adminKey });
    await page.getByLabel('Key', { exact: true }).fill(adminKey);
    await page.getByRole('button', { name: 'Use this key' }).click();
    await page.getByLabel('New tenant').fill('no such name!');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.locator('.inline-form .field-problem').waitFor();
    await page.getByLabel('New tenant').fill('bob');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByLabel('Requests a minute').fill('many');
    await page.getByRole('button', { name: 'Save limits' }).click();
    await page.locator('.field:has-text("Requests a minute") .field-problem').waitFor();
    await page.getByLabel('Requests a minute').fill('600');
    await page.getByRole('button', { name: 'Save limits' }).click();
    await page.getByText('Saved.').waitFor();
    await page.getByLabel('Label of a new key').fill('laptop');
    await page.getByRole('button', { name: 'Create key' }).click();
    const key = await page.getByLabel('The new key', { exact: true }).last().innerText();
    await page.keyboard.press('Escape');
    await page.getByText('laptop').waitFor();
    expect(await page.content()).not.toContain(key);

    const me = await fetch(`${server.url}/v1/me`, { headers: { authorization: `Bearer ${key}` } });
    expect(await me.json()).toMatchObject({ tenant: 'bob', limits: { requests_per_minute: 600 } });
    const other = await showConsole(server.url);
    await other.getByLabel('Key', { exact: true }).fill(key);
    await other.getByRole('button', { name: 'Use this key' }).click();
    await other.getByRole('button', { name: 'Run' }).waitFor();
    await page.getByRole('button', { name: 'Revoke “laptop”' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('There are none.').waitFor();
    await other.getByLabel('Prompt').fill('About apple cake\n');
    await other.getByRole('button', { name: 'Run' }).click();
    await other.getByText('does not accept this key any more').waitFor();
    expect(await other.evaluate('sessionStorage.length')).toBe(0);
  });

  it('keeps a tenant’s key that works where another is not the operator’s, and takes no key that cannot be sent', async () => {
    const { page, server } = await openConsole('', { adminKey, apiKeys: [{ tenant: 'alice', key: 'alice-key' }] });
    const sendKey = async (key: string): Promise<void> => {
      await page.getByLabel('Key', { exact: true }).fill(key);
      await page.getByRole('button', { name: 'Use this key' }).click();
    };
    await sendKey('key-of-€');
    await page.getByText('characters that cannot be sent').waitFor();
    await page.reload();
    await page.getByText('characters that cannot be sent').waitFor();
    await sendKey('alice-key');
    await page.getByRole('button', { name: 'Run' }).waitFor();
    await page.getByRole('link', { name: 'Tenants' }).click();
    await sendKey('not-the-operators');
    await page.getByText('does not accept this as the operator’s key').waitFor();
    await page.goto(`${server.url}/console/#/prefixes`);
    await page.getByText('headlines').first().waitFor();
  });

  it('shows the next one nothing of what was typed before a key was forgotten', async () => {
    const { page } = await openConsole('', { apiKeys: [{ tenant: 'alice', key: 'alice-key' }, { tenant: 'bob', key: 'bob-key' }] }); // prettier-ignore
    const sendKey = async (key: string): Promise<void> => {
      await page.getByLabel('Key', { exact: true }).fill(key);
      await page.getByRole('button', { name: 'Use this key' }).click();
      await page.getByRole('button', { name: 'Run' }).waitFor();
    };
    await sendKey('alice-key');
    await page.getByLabel('Prompt').fill('of alice alone');
    await page.getByRole('button', { name: 'Run' }).click();
    await expect.poll(() => page.url()).toContain('alice');
    await page.getByRole('button', { name: 'Forget key' }).click();
    await sendKey('bob-key');
    expect(await page.getByLabel('Prompt').inputValue()).not.toContain('alice');
    expect(page.url()).not.toContain('alice');
  });
});
