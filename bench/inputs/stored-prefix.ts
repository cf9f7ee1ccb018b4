import { kvAdapter } from '#src/prefix/adapter/kv-file.js';
import { type BaseModel, kvBytes, type PrefixKv, rowWidth, selfKv, selfSite } from '#src/prefix/kv.js';
import type { PrefixUpload } from '#src/prefix/store.js';
import { filesVersion } from '#src/prefix/version.js';
import { uniform } from './random-model.js';

/** Prefix of `length` random virtual tokens as a store takes it, with PEFT's two files. */
export function storedPrefix(name: string, length: number, base: BaseModel): PrefixUpload {
  const kv = randomKv(name, length, rowWidth(selfSite(base)));
  const files = kvAdapter(kv, base);
  const known = { kind: 'prefix', placement: 'prefix', numVirtualTokens: length, warnings: [] } as const;
  const version = filesVersion(files, 'prefix');
  return { info: { ...known, name, version, bytes: kvBytes(kv), created: 0, baseModel: base.id }, files };
}

/** Random keys and values `[length, columns]`, the same for the same seed. */
export function randomKv(seed: string, length: number, columns: number): PrefixKv {
  const next = uniform(seed);
  return selfKv(
    length,
    Float32Array.from({ length: length * columns }, () => next() / 2),
  );
}
