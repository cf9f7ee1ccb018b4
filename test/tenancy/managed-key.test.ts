import { describe, expect, it } from 'vitest';

import { issueKey, isSecretOf, parseKey } from '../../src/tenancy/managed-key.js';

const owner = { tenant: 'a', label: undefined };
const secretOf = (text: string): string => parseKey(text)!.secret;

describe('a managed key', () => {
  it('is known again by its secret only', () => {
    const [mine, other] = [issueKey(owner, 1e12), issueKey(owner, 1e12)];
    expect(isSecretOf(mine.record, secretOf(mine.text))).toBe(true);
    expect(isSecretOf(mine.record, secretOf(other.text))).toBe(false);
    expect(isSecretOf(mine.record, '')).toBe(false);
    expect(isSecretOf(undefined, secretOf(mine.text))).toBe(false);
    expect(isSecretOf(undefined, '')).toBe(false);
  });

  it('has an id, 256 random bits and a salt of its own', () => {
    const keys = Array.from({ length: 50 }, (_, i) => issueKey(owner, 1e12 + i));
    for (const values of [keys.map(({ text }) => secretOf(text)), keys.map(({ record }) => record.salt)])
      expect(new Set(values).size).toBe(50);
    expect(keys.map(({ record }) => record.id).sort()).toEqual(keys.map(({ record }) => record.id));
    const [first] = keys;
    expect(first?.text).toMatch(/^pre-[0-9a-f]{20}-[\w-]{43}$/);
    expect(Buffer.from(secretOf(first!.text), 'base64url')).toHaveLength(32);
    expect(first?.record).toMatchObject({ tenant: 'a', created: 1e9, last4: first?.text.slice(-4) });
    expect(parseKey(first!.text)?.id).toBe(first?.record.id);
  });

  it('keeps nothing of the secret but four characters', () => {
    const { text, record } = issueKey(owner, 1e12);
    expect(JSON.stringify(record)).not.toContain(secretOf(text).slice(0, -4));
  });

  it.each([
    '',
    'pre-',
    'sk-abc',
    `pre-${'0'.repeat(20)}-short`,
    `pre-${'0'.repeat(20)}-${'a'.repeat(44)}`,
    ` pre-${'0'.repeat(20)}-${'a'.repeat(43)}`,
  ])('is not %j', (text) => expect(parseKey(text)).toBeUndefined());
});
