import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { readAdapter } from '../../src/prefix/adapter/read.js';
import { PREFIX_ERRORS, PrefixError } from '../../src/prefix/errors.js';
import { changes, damaged } from './damage.js';
import { base, columns, config, prefixFiles, rawModel, softPromptFiles } from './fixtures.js';
import { peftLoads } from './peft-oracle.js';

/** How many uploads were accepted, and refused by which code. */
type Tally = Map<string, number>;

/** Accepted with what it promises, and only if PEFT loads it too; or refused by a code of the table. Anything else is a bug. */
function checkOutcome(config: Uint8Array, model: Uint8Array, tally: Tally = new Map()): void {
  const outcome = readOutcome(config, model);
  if (outcome === 'accepted' && !peftLoads(config, model, base)) throw new Error('accepted what PEFT does not load');
  tally.set(outcome, (tally.get(outcome) ?? 0) + 1);
}

function readOutcome(config: Uint8Array, model: Uint8Array): string {
  try {
    const { kind, length, rows } = readAdapter({ config, model }, base);
    const isWhole = rows.length === length * (kind === 'prefix' ? columns : base.width) && length > 0;
    if (!isWhole || !rows.every(Number.isFinite)) throw new Error('accepted less than a prefix');
    return 'accepted';
  } catch (error) {
    if (!(error instanceof PrefixError) || !Object.hasOwn(PREFIX_ERRORS, error.code)) throw error;
    return error.code;
  }
}

const half = (dtype: string, peft_type: string, width: number) => ({
  config: config({ peft_type }),
  model: rawModel(
    dtype,
    [3, width],
    Uint8Array.from({ length: 3 * width * 2 }, (_, i) => (i % 2 ? 0x3c : i)),
  ),
});

describe('100,000 damaged uploads are accepted whole or refused by name', () => {
  it.each([
    ['a prefix', prefixFiles(), 25_000],
    ['a soft prompt', softPromptFiles(), 15_000],
    ['a half-precision prefix', half('F16', 'CARTRIDGE', columns), 10_000],
    ['a bfloat16 soft prompt', half('BF16', 'P_TUNING', base.width), 10_000],
  ])('the tensors of %s', (_, { config, model }, numRuns) => {
    const tally: Tally = new Map();
    fc.assert(
      fc.property(changes, (list) => checkOutcome(config, damaged(model, list), tally)),
      { numRuns, seed: 1 },
    );
    // Damage in the data may leave a prefix, if another one; damage in the header is found in many ways.
    expect(tally.get('accepted')).toBeGreaterThan(numRuns / 100);
    expect(tally.size).toBeGreaterThan(8);
  });

  it('bytes of the config', () => {
    const { config, model } = prefixFiles();
    fc.assert(
      fc.property(changes, (list) => checkOutcome(damaged(config, list), model)),
      { numRuns: 15_000, seed: 2 },
    );
  });

  it('fields of the config', () => {
    const { model } = prefixFiles();
    const names = Object.keys(JSON.parse(new TextDecoder().decode(config())) as object);
    const value = fc.oneof(
      fc.constantFrom(null, 1, 2, 3, 4, 'CAUSAL_LM', 'PREFIX_TUNING', 'CPT', 'infix'),
      fc.anything(),
    );
    const fields = fc.dictionary(fc.oneof(fc.constantFrom(...names, 'placement'), fc.string()), value, { maxKeys: 4 });
    const tally: Tally = new Map();
    fc.assert(
      fc.property(fields, (changed) => {
        const json = { ...(JSON.parse(new TextDecoder().decode(config())) as object), ...changed };
        checkOutcome(Buffer.from(encodeAnything(json)), model, tally);
      }),
      { numRuns: 15_000, seed: 3 },
    );
    expect(tally.size).toBeGreaterThan(9);
  });

  it('any header around the right data', () => {
    const { config, model } = prefixFiles();
    const data = model.subarray(model.length - 3 * columns * 4);
    const dimension = fc.oneof(fc.constantFrom(0, 1, 3, columns, 3 * columns, -1, 2 ** 32, 2 ** 53), fc.anything());
    const entry = fc.record(
      {
        dtype: fc.oneof(fc.constantFrom('F32', 'F16', 'BF16', 'F64', 'I32'), fc.anything()),
        shape: fc.oneof(fc.array(dimension, { maxLength: 3 }), fc.constant([3, columns]), fc.anything()),
        data_offsets: fc.oneof(fc.constant([0, data.length]), fc.array(dimension, { maxLength: 3 }), fc.anything()),
      },
      { requiredKeys: [] },
    );
    const name = fc.oneof(fc.constantFrom('prompt_embeddings', '__metadata__'), fc.string());
    const tally: Tally = new Map();
    fc.assert(
      fc.property(fc.dictionary(name, fc.oneof(entry, fc.anything()), { maxKeys: 3 }), (value) => {
        const json = Buffer.from(encodeAnything(value));
        const length = Buffer.alloc(8);
        length.writeBigUInt64LE(BigInt(json.length));
        checkOutcome(config, Buffer.concat([length, json, data]), tally);
      }),
      { numRuns: 10_000, seed: 4 },
    );
    expect(tally.size).toBeGreaterThan(8);
  });
});

function encodeAnything(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? part.toString() : part));
}
