import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { HostArena } from '../../src/model/backend/arena/host-arena.js';
import { bart } from '../../src/model/bart/architecture.js';
import { parseConfig, siteOf } from '../../src/model/bart/config.js';
import { appendCrossGraph, encodeGraph } from '../../src/model/bart/encoder-graphs.js';
import { derivedForm } from '../../src/model/compile/derived-form.js';
import { deriveWeights } from '../../src/model/compile/derived-weights.js';
import type { KvPrecision, WeightPrecision } from '../../src/model/precision.js';
import { OnnxSourceEncoder } from '../../src/model/source-encoder.js';
import { bytesOf, layOut, type WeightSpan, type WeightSpec } from '../../src/model/weights.js';
import type { GraphBuilder } from '../../src/onnx/graph.js';
import { CROSS, ENCODER, type PrefixKv } from '../../src/prefix/kv.js';
import { Runtime } from '../../src/runtime/ort/runtime.js';
import { Session } from '../../src/runtime/ort/session.js';
import { decodeFloats } from '../../src/safetensors/index.js';
import { BartReference } from '../support/bart-reference.js';

/** The sides differ in layers and in heads. */
const config = parseConfig({
  model_type: 'bart',
  d_model: 48,
  encoder_layers: 3,
  encoder_attention_heads: 3,
  encoder_ffn_dim: 64,
  decoder_layers: 2,
  decoder_attention_heads: 6,
  decoder_ffn_dim: 80,
  max_position_embeddings: 32,
  vocab_size: 50,
  activation_function: 'relu',
  scale_embedding: true,
});
const WIDTH = 48;
const SLOTS = 3;
/** Rows of a source slot. */
const POSITIONS = 48;
const SOURCE = [2, 11, 7, 49, 0, 23, 7, 8, 30, 31, 5, 44, 3];

const specs = bart.compiledWeights(config);
const values = new Map(
  specs.map(({ name, shape }, i) => {
    const length = shape.reduce((a, b) => a * b, 1);
    const isNorm = /norm.*\.weight$/.test(name);
    return [name, wave(length, i, isNorm ? 0.2 : 0.3).map((x) => (isNorm ? 1 + x : x))];
  }),
);
const reference = new BartReference(config, values);

/** Virtual tokens: of a ragged prefix, their numbers differ. */
function prefix({ encoder = 0, cross = 0, embeddings = 0 }): PrefixKv {
  return {
    length: 0,
    shift: 0,
    rows: new Map([
      ...(encoder > 0 ? [[ENCODER, wave(encoder * 3 * 2 * WIDTH, 91, 0.7)] as const] : []),
      ...(cross > 0 ? [[CROSS, wave(cross * 2 * 2 * WIDTH, 92, 0.7)] as const] : []),
    ]),
    ...(embeddings > 0 && { sourceEmbeddings: wave(embeddings * WIDTH, 93, 0.7) }),
  };
}

let runtime: Runtime;
let directory: string;
beforeAll(async () => {
  runtime = new Runtime({ threads: 2 });
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-encoder-'));
  const { spans, bytes } = layOut(specs);
  const file = new Uint8Array(bytes);
  for (const { name, offset } of spans) file.set(bytesOf(values.get(name) as Float32Array), offset);
  await fs.writeFile(path.join(directory, 'float32.bin'), file);
});
afterAll(async () => {
  runtime.dispose();
  await fs.rm(directory, { recursive: true });
});

/** An encoder with an arena whose bytes are 0x55 before. */
class Bench {
  released = 0;
  #isBusy = false;

  private constructor(
    readonly encoder: OnnxSourceEncoder,
    readonly arena: HostArena,
    private readonly kv: KvPrecision,
    private readonly sessions: readonly Session[],
  ) {}

  static async open(weights: WeightPrecision = 'float32', kv: KvPrecision = 'float32'): Promise<Bench> {
    const source = { config, weights: await spansOf(weights), weightsFile: `${weights}.bin`, kv };
    const open = (graph: GraphBuilder): Promise<Session> =>
      Session.open(runtime, graph.toBytes(), { filesDirectory: directory });
    const stages = await Promise.all([0, 1, 2, 3].map((stage) => open(encodeGraph(source, stage))));
    const append = await open(appendCrossGraph(source));
    const arena = new HostArena(runtime, {
      site: siteOf(config, CROSS),
      positions: POSITIONS,
      slots: SLOTS,
      precision: kv,
    });
    const bench: Bench = new Bench(
      new OnnxSourceEncoder({
        runtime,
        shape: bart.shape(config),
        sessions: { stages, append },
        arena,
        slots: SLOTS,
        positions: POSITIONS,
        weights: { releasePages: () => bench.released++ },
        exclusively: (call) => bench.#exclusively(call),
      }),
      arena,
      kv,
      [...stages, append],
    );
    return bench;
  }

  /** Encodes a source in pieces of `size`, and returns its slot's keys and values. */
  async encode(slot: number, source: readonly number[], kv?: PrefixKv, size = 1000): Promise<number[]> {
    const encoding = this.encoder.begin(slot, source, kv);
    while (!(await encoding.advance(size)));
    encoding.dispose();
    return this.read(slot, this.encoder.lengthOf(slot));
  }

  /** The first rows of a slot: `[2 * layers, heads, length, headDim]`. */
  async read(slot: number, length = POSITIONS): Promise<number[]> {
    const copy = await this.arena.read(slot, 0, length);
    return [...decodeFloats(copy.values, this.kv === 'float32' ? 'F32' : 'F16')];
  }

  async dispose(): Promise<void> {
    this.encoder.dispose();
    for (const session of this.sessions) await session.dispose();
    this.arena.dispose();
  }

  async #exclusively<T>(call: () => Promise<T>): Promise<T> {
    if (this.#isBusy) throw new Error('one call at a time');
    this.#isBusy = true;
    try {
      return await call();
    } finally {
      this.#isBusy = false;
    }
  }
}

async function spansOf(precision: WeightPrecision): Promise<readonly WeightSpan[]> {
  const { spans } = layOut(specs);
  if (precision === 'float32') return spans;
  const [source, target] = ['float32', precision].map((name) => path.join(directory, `${name}.bin`)) as [
    string,
    string,
  ];
  await fs.rm(target, { force: true });
  const matrixOf = (weight: WeightSpec) => bart.matrixOf(weight, config);
  return (
    await deriveWeights({ source, sourceWeights: spans, matrixOf, form: derivedForm(precision, 'unsigned'), target })
  ).spans;
}

/** What the reference has for a slot, as `Bench.read` returns it. */
function expected(source: readonly number[], kv?: PrefixKv): number[] {
  const { heads } = config.decoder;
  return reference
    .crossKeyValues(source, kv)
    .flatMap((rows) =>
      Array.from({ length: heads }, (_, head) =>
        rows.flatMap((row) => row.slice((head * WIDTH) / heads, ((head + 1) * WIDTH) / heads)),
      ).flat(),
    );
}

const PREFIXES: readonly [title: string, kv: PrefixKv | undefined][] = [
  ['without a prefix', undefined],
  ['with virtual tokens in the encoder only', prefix({ encoder: 4 })],
  ['with virtual tokens in the cross-attention only', prefix({ cross: 5 })],
  ['with a ragged prefix', prefix({ encoder: 2, cross: 7 })],
  ['with input embeddings before it', prefix({ embeddings: 6 })],
  ['with all of them', prefix({ encoder: 3, cross: 1, embeddings: 2 })],
];

describe('a source', () => {
  let bench: Bench;
  beforeEach(async () => (bench = await Bench.open()));
  afterEach(() => bench.dispose());

  it.each(PREFIXES)('%s is encoded as the model is defined, whole and in pieces', async (_, kv) => {
    const wanted = expected(SOURCE, kv);
    const whole = await bench.encode(0, SOURCE, kv);
    expectClose(whole, wanted, 1e-4);
    for (const size of [1, 3, 7, SOURCE.length]) expectClose(await bench.encode(1, SOURCE, kv, size), whole, 1e-5);
  });

  it('of one token, and of as many as fit, is encoded', async () => {
    const longest = Array.from({ length: 32 }, (_, i) => (i * 7) % 50);
    for (const source of [[5], longest]) expectClose(await bench.encode(2, source), expected(source), 1e-4);
    const behind = prefix({ embeddings: 19, cross: POSITIONS - 32 });
    expectClose(await bench.encode(2, SOURCE, behind, 5), expected(SOURCE, behind), 1e-4);
  });

  it('takes a call for each piece of each stage, and no work after that', async () => {
    const encoding = bench.encoder.begin(0, SOURCE);
    const pieces = 4 * Math.ceil(SOURCE.length / 5);
    for (let piece = 1; piece < pieces; piece++) expect(await encoding.advance(5)).toBe(false);
    expect(bench.encoder.lengthOf(0)).toBe(0);
    expect(await encoding.advance(5)).toBe(true);
    expect(bench.encoder.lengthOf(0)).toBe(SOURCE.length);
    expect(bench.released).toBe(1);
    expect(await encoding.advance(5)).toBe(true);
    encoding.dispose();
    expect(bench.encoder.lengthOf(0)).toBe(SOURCE.length);
  });

  it('is not changed by another one that is encoded by turns', async () => {
    const sources = [SOURCE, SOURCE.slice(3).reverse()];
    const kvs = [prefix({ encoder: 2, cross: 3 }), undefined];
    const encodings = sources.map((source, i) => bench.encoder.begin(2 * i, source, kvs[i]));
    for (let isEncoded = [false, false]; isEncoded.includes(false);) {
      isEncoded = [await encodings[0]?.advance(4), await encodings[1]?.advance(3)].map((done) => done === true);
    }
    for (const [i, source] of sources.entries()) {
      const length = bench.encoder.lengthOf(2 * i);
      expectClose(await bench.read(2 * i, length), expected(source, kvs[i]), 1e-4);
    }
  });

  it('changes no other slot, and nothing of its own behind its end', async () => {
    const all = await bench.encode(
      1,
      Array.from({ length: 32 }, () => 9),
      prefix({ cross: POSITIONS - 32 }),
    );
    const before = [await bench.read(0), await bench.read(2)];
    await bench.encode(1, SOURCE, prefix({ encoder: 1, cross: 2 }), 6);
    expect([await bench.read(0), await bench.read(2)]).toEqual(before);
    const after = await bench.read(1);
    const headDim = WIDTH / config.decoder.heads;
    after.forEach((value, i) => {
      if (Math.floor(i / headDim) % POSITIONS >= SOURCE.length + 2) expect(value).toBe(all[i]);
    });
  });

  it('that is given up leaves a slot that holds none, and the next one is encoded as ever', async () => {
    await bench.encode(0, SOURCE);
    const encoding = bench.encoder.begin(0, SOURCE, prefix({ cross: 2 }));
    expect(bench.encoder.lengthOf(0)).toBe(0);
    for (let piece = 0; piece < 9; piece++) await encoding.advance(5);
    encoding.dispose();
    encoding.dispose();
    await expect(encoding.advance(5)).rejects.toThrow("source slot 0 is not this source's any more");
    expect(bench.encoder.lengthOf(0)).toBe(0);
    expectClose(await bench.encode(0, SOURCE.slice(4)), expected(SOURCE.slice(4)), 1e-4);
  });

  it('that is given up while a piece is computed is so when that is done', async () => {
    const encoding = bench.encoder.begin(0, SOURCE);
    for (let stage = 0; stage < 3; stage++) await encoding.advance(100);
    const last = encoding.advance(100);
    encoding.dispose();
    const other = bench.encoder.begin(0, SOURCE.slice(2));
    await expect(other.advance(1)).rejects.toThrow('one call at a time');
    await last;
    expect(bench.encoder.lengthOf(0)).toBe(0);
    while (!(await other.advance(4)));
    other.dispose();
    expectClose(await bench.read(0, bench.encoder.lengthOf(0)), expected(SOURCE.slice(2)), 1e-4);
  });

  it.each<[string, number, readonly number[], PrefixKv | undefined, string]>([
    ['no tokens', 0, [], undefined, 'a source needs a token'],
    ['too many tokens', 0, Array<number>(33).fill(1), undefined, 'a source of 33 tokens: 32 fit'],
    ['too many with its embeddings', 0, SOURCE, prefix({ embeddings: 20 }), 'a source of 33 tokens: 32 fit'],
    ['a token that is too large', 0, [50], undefined, 'token id 50'],
    ['a token below 0', 0, [-1], undefined, 'token id -1'],
    ['half a token', 0, [1.5], undefined, 'token id 1.5'],
    ['no such slot', 3, SOURCE, undefined, 'source slot 3'],
    ['a slot below 0', -1, SOURCE, undefined, 'source slot -1'],
    ['too many virtual tokens', 0, SOURCE, prefix({ cross: 36 }), '36 virtual tokens at the site cross: 35 fit'],
    ['embeddings of another width', 0, SOURCE, { ...prefix({}), sourceEmbeddings: wave(50, 1, 1) }, 'of width 48'],
    ['rows of another model', 0, SOURCE, { ...prefix({}), rows: new Map([[ENCODER, wave(96, 1, 1)]]) }, 'site encoder'],
  ])('with %s is refused', async (_, slot, source, kv, message) => {
    const before = await bench.encode(0, SOURCE);
    const begin = () => bench.encoder.begin(slot, source, kv);
    expect(begin).toThrow(RangeError);
    expect(begin).toThrow(message);
    expect(await bench.read(0, bench.encoder.lengthOf(0))).toEqual(before);
  });

  it.each([0, -1, 1.5, NaN])('is not encoded in pieces of %d tokens', async (size) => {
    const encoding = bench.encoder.begin(0, SOURCE);
    await expect(encoding.advance(size)).rejects.toThrow(RangeError);
    encoding.dispose();
  });
});

/** How far keys and values may be from those of float32: one of 256 steps at most for each of 48 products, and errors of either sign. */
describe.each<[WeightPrecision, KvPrecision, number]>([
  ['float32', 'float16', 5e-3],
  ['float16', 'float32', 3e-2],
  ['float16', 'float16', 3e-2],
  ['int8', 'float32', 0.2],
])('a source with %s weights and %s keys and values', (weights, kv, tolerance) => {
  it('is close to that in float32, and the same in pieces', async () => {
    const bench = await Bench.open(weights, kv);
    const virtual = prefix({ encoder: 3, cross: 2, embeddings: 1 });
    const whole = await bench.encode(0, SOURCE, virtual);
    expectClose(whole, expected(SOURCE, virtual), tolerance);
    expectClose(await bench.encode(1, SOURCE, virtual, 4), whole, tolerance / 2);
    await bench.dispose();
  });
});

function expectClose(actual: readonly number[], wanted: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(wanted.length);
  const errors = actual.map((x, i) => Math.abs(x - (wanted[i] as number)));
  const largest = errors.every(Number.isFinite) ? Math.max(...errors) : NaN;
  expect(largest).toBeLessThanOrEqual(tolerance);
}

/** Values in [-size, size] without a pattern. */
function wave(length: number, seed: number, size: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => size * Math.sin(seed * 3.1 + i * i * 0.37 + i * 1.3));
}
