import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { type PrefixEncoder, rowWidth, selfKv, selfSite } from '../../src/prefix/kv.js';
import { PrefixLibrary } from '../../src/prefix/library.js';
import type { PrefixStore } from '../../src/prefix/store.js';
import { encodeSafetensors } from '../../src/safetensors/index.js';
import { base } from './harness.js';

const site = selfSite(base);
const COLUMNS = rowWidth(site);

/** Keys and values that tell what was encoded. */
const encoder: PrefixEncoder = {
  encodeEmbeddings: async (embeddings, length) =>
    selfKv(
      length,
      Float32Array.from({ length: length * COLUMNS }, (_, i) => embeddings[i % embeddings.length] ?? 0),
    ),
  encodeTokens: async (tokens) =>
    selfKv(
      tokens.length,
      Float32Array.from({ length: tokens.length * COLUMNS }, (_, i) => (tokens[Math.floor(i / COLUMNS)] ?? 0) / 100),
    ),
};

/** The real library, on a directory of its own unless a store is given; the directory is removed after the test. */
export async function testLibrary(store?: PrefixStore): Promise<PrefixLibrary> {
  store ??= await DiskPrefixStore.open(await temporaryDirectory(), base.fingerprint);
  return new PrefixLibrary({ store, base, encoder, cacheBytes: 1 << 20, now: () => 1_700_000_000_000 });
}

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'preamble-server-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

/** What PEFT would write for a prefix of so many virtual tokens. */
export function adapterFiles(
  length: number,
  config: object = {},
  seed = 1,
): { config: string; model: Uint8Array<ArrayBuffer> } {
  const data = Float32Array.from({ length: length * COLUMNS }, (_, i) => Math.sin(seed * (i + 1)));
  return {
    config: JSON.stringify({
      peft_type: 'PREFIX_TUNING',
      task_type: 'CAUSAL_LM',
      num_layers: site.layers,
      num_attention_heads: site.kvHeads,
      token_dim: base.width,
      num_virtual_tokens: length,
      base_model_name_or_path: base.id,
      ...config,
    }),
    model: encodeSafetensors({ prompt_embeddings: { shape: [length, COLUMNS], data } }),
  };
}
