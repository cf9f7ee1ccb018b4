import { describe, expect, it } from 'vitest';

import {
  adapterId,
  adapterIdOfKeys,
  checkPrefixName,
  isAdapterId,
  isPrefixName,
  nameKey,
  parsePrefixReference,
  tenantKey,
} from '../../src/prefix/name.js';
import { filesVersion, textVersion } from '../../src/prefix/version.js';
import { prefixFiles } from './fixtures.js';

const good = ['a', 'users/alice', 'A-b_c.d/0', '...', '..a', 'a..', '.a/b.', 'x'.repeat(128)];
const bad = [
  '',
  '.',
  '..',
  '/',
  'a/',
  '/a',
  'a//b',
  'a/./b',
  'a/..',
  '../a',
  'a b',
  'a@b',
  'ä',
  'a\n',
  'a\\b',
  'x'.repeat(129),
];

describe('names', () => {
  it.each(good)('%j is one', (name) => {
    expect(isPrefixName(name)).toBe(true);
    expect(() => checkPrefixName(name)).not.toThrow();
    expect(parsePrefixReference(name)).toEqual({ name, version: undefined });
  });

  it.each(bad)('%j is none', (name) => {
    expect(isPrefixName(name)).toBe(false);
    expect(() => checkPrefixName(name)).toThrow(
      expect.objectContaining({ code: 'prefix_name_invalid', param: 'name' }),
    );
    expect(parsePrefixReference(name)).toEqual({ name, version: undefined });
  });

  it('may carry 12 to 64 digits of a version', () => {
    const digits = '0123456789ab'.repeat(6);
    expect(parsePrefixReference(`a/b@${digits.slice(0, 12)}`)).toEqual({ name: 'a/b', version: digits.slice(0, 12) });
    expect(parsePrefixReference(`a@${digits.slice(0, 64)}`).version).toHaveLength(64);
    for (const version of [
      '',
      digits.slice(0, 11),
      digits.slice(0, 65),
      '0123456789AB',
      '0123456789ag',
      `${digits.slice(0, 12)}@`,
    ]) {
      expect(parsePrefixReference(`a@${version}`)).toEqual({ name: `a@${version}`, version: undefined });
    }
  });

  it('have keys that are one safe lower-case path segment each', () => {
    const keys = [...good, 'A', 'Users/Alice', 'users,alice'.replace(',', '/')].map(nameKey);
    for (const key of keys) expect(key).toMatch(/^[a-z0-9._,-]+~[0-9a-f]{16}$/);
    expect(nameKey('A').toLowerCase()).not.toBe(nameKey('a').toLowerCase());
    expect(tenantKey('acme')).toBe('acme');
    expect(tenantKey('ACME')).toMatch(/^acme~[0-9a-f]{16}$/);
  });
});

describe('versions', () => {
  it('are those of the content, and of nothing else', () => {
    const files = prefixFiles();
    const copy = { config: Buffer.from(files.config), model: Buffer.from(files.model) };
    expect(filesVersion(copy, 'prefix')).toBe(filesVersion(files, 'prefix'));
    expect(filesVersion(files, 'prefix')).toMatch(/^[0-9a-f]{64}$/);
    const others = [
      filesVersion(files, 'prefix'),
      filesVersion(files, 'infix'),
      filesVersion(prefixFiles(3, 1), 'prefix'),
      filesVersion({ config: Buffer.concat([files.config, files.model]), model: new Uint8Array() }, 'prefix'),
      textVersion(''),
      textVersion('a'),
    ];
    expect(new Set(others).size).toBe(others.length);
  });

  it('do not change from one release to the next', () => {
    expect(textVersion('Dear customer')).toMatchInlineSnapshot(
      `"d7787d663be32d23ed23e3c0984f4619b41a5c9228adb22224c7e57186d889b9"`,
    );
  });
});

describe('adapter ids', () => {
  it('do not change from one release to the next, nor from one replica to another', () => {
    expect(adapterId('default', 'headlines')).toBe('25171c3db5dad075');
    expect(adapterId('ACME', 'users/Alice')).toBe('ac2a199f41d0463c');
  });

  it('are those of tenant and name, as they are and as keys', () => {
    const pairs = ['t', 'T', 'u'].flatMap((tenant) => ['a', 'A', 'b/c'].map((name) => [tenant, name] as const));
    const ids = pairs.map(([tenant, name]) => adapterId(tenant, name));
    expect(new Set(ids).size).toBe(pairs.length);
    expect(ids.every(isAdapterId)).toBe(true);
    expect(pairs.map(([tenant, name]) => adapterIdOfKeys(tenantKey(tenant), nameKey(name)))).toEqual(ids);
    expect(pairs.map(([tenant, name]) => adapterId(tenantKey(tenant), name))).toEqual(ids);
    expect(() => adapterId('..', 'a')).toThrow(expect.objectContaining({ code: 'tenant_invalid' }));
  });

  it.each(['', 'headlines', '0123456789abcde', '0123456789abcdef0', '0123456789ABCDEF', '0123456789abcdeg'])(
    '%j is none',
    (text) => expect(isAdapterId(text)).toBe(false),
  );
});
