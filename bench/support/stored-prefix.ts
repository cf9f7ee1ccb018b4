import { kvColumns } from '#src/prefix/format.js';
import { kvAdapter } from '#src/prefix/kv-file.js';
import type { BaseModel } from '#src/prefix/kv.js';
import type { PrefixUpload } from '#src/prefix/store.js';
import { filesVersion } from '#src/prefix/version.js';
import { uniform } from '../random-model.js';

/** A prefix of `length` random virtual tokens, as a store takes it: what the server makes of an upload of PEFT's two files. */
export function storedPrefix(name: string, length: number, base: BaseModel): PrefixUpload {
  const next = uniform(name);
  const rows = Float32Array.from({ length: length * kvColumns(base) }, () => next() / 2);
  const files = kvAdapter({ length, rows }, base);
  const known = { kind: 'prefix', placement: 'prefix', numVirtualTokens: length, warnings: [] } as const;
  const version = filesVersion(files, 'prefix');
  return { info: { ...known, name, version, bytes: rows.byteLength, created: 0, baseModel: base.id }, files };
}
