import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { readAdapter } from '../../src/prefix/adapter.js';
import { PREFIX_ERRORS, PrefixError } from '../../src/prefix/errors.js';
import { base, columns, prefixFiles, softPromptFiles } from './fixtures.js';

/** Change a byte, insert some, remove some, or cut the file: what bad disks, proxies and people do. */
const edit = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(), bytes: fc.uint8Array({ maxLength: 9 }) }),
  fc.record({ kind: fc.constant('remove' as const), at: fc.nat(), count: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat() }),
);
type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never;
/** Half of the positions in the header, where a change matters more. */
const position = fc.tuple(fc.boolean(), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));

function damaged(file: Uint8Array, change: Edit, [early, share]: [boolean, number]): Uint8Array {
  const at = Math.floor(share * (early ? Math.min(120, file.length) : file.length));
  const [before, after] = [file.subarray(0, at), file.subarray(at)];
  if (change.kind === 'set') return Buffer.concat([before, Uint8Array.of(change.byte), after.subarray(1)]);
  if (change.kind === 'insert') return Buffer.concat([before, change.bytes, after]);
  if (change.kind === 'remove') return Buffer.concat([before, after.subarray(change.count)]);
  return Buffer.from(before);
}

/** Accepted with what it promises, or refused by a code of the table; anything else is a bug. */
function checkOutcome(config: Uint8Array, model: Uint8Array): void {
  try {
    const { kind, length, rows } = readAdapter({ config, model }, base);
    expect(rows.length).toBe(length * (kind === 'prefix' ? columns : base.width));
    expect(length).toBeGreaterThan(0);
    expect(rows.every(Number.isFinite)).toBe(true);
  } catch (error) {
    if (!(error instanceof PrefixError)) throw error;
    expect(Object.hasOwn(PREFIX_ERRORS, error.code)).toBe(true);
  }
}

describe('damaged uploads', () => {
  const changes = fc.array(fc.tuple(edit, position), { minLength: 1, maxLength: 4 });
  const damage = (file: Uint8Array, list: [Edit, [boolean, number]][]): Uint8Array =>
    list.reduce((bytes, [change, where]) => damaged(bytes, change, where), file);

  it.each([
    ['prefix', prefixFiles()],
    ['soft prompt', softPromptFiles()],
  ])('%s: a damaged tensor file is accepted whole or refused by name', (_, { config, model }) => {
    fc.assert(
      fc.property(changes, (list) => checkOutcome(config, damage(model, list))),
      { numRuns: 3000, seed: 1 },
    );
  });

  it('a damaged config is accepted or refused by name', () => {
    const { config, model } = prefixFiles();
    fc.assert(
      fc.property(changes, (list) => checkOutcome(damage(config, list), model)),
      { numRuns: 3000, seed: 2 },
    );
  });

  it('any header around the right data is accepted or refused by name', () => {
    const { config, model } = prefixFiles();
    const data = model.subarray(model.length - 3 * columns * 4);
    const entry = fc.record(
      { dtype: fc.oneof(fc.constant('F32'), fc.anything()), shape: fc.anything(), data_offsets: fc.anything() },
      { requiredKeys: [] },
    );
    const header = fc.dictionary(
      fc.oneof(fc.constant('prompt_embeddings'), fc.string()),
      fc.oneof(entry, fc.anything()),
    );
    fc.assert(
      fc.property(header, (value) => {
        const json = Buffer.from(encodeAnything(value));
        const length = Buffer.alloc(8);
        length.writeBigUInt64LE(BigInt(json.length));
        checkOutcome(config, Buffer.concat([length, json, data]));
      }),
      { numRuns: 1000, seed: 3 },
    );
  });
});

function encodeAnything(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? part.toString() : part));
}
