import { createHash } from 'node:crypto';

import { type AdapterFiles, CONFIG_FILE, MODEL_FILE, type Placement } from './adapter/format.js';
import { KV_FILE, type PrefixUpload, type StoredFileName } from './store.js';

/** Changes when the encoding below does: an old version must not get a new meaning. */
const ENCODING = 'preamble prefix 1';

/** The version of two files with their placement: 64 hex digits, the same for the same content. */
export function filesVersion({ config, model }: AdapterFiles, placement: Placement): string {
  return hashParts(['files', placement, config, model]);
}

/** The version of a text: 64 hex digits, the same for the same text. */
export function textVersion(text: string): string {
  return hashParts(['text', text]);
}

/** sha256 of a version's files, each as 64 hex digits. */
export type FileSums = Readonly<Partial<Record<StoredFileName, string>>>;

/** The sums of the files that a version has. */
export function fileSums({ files, kv }: Pick<PrefixUpload, 'files' | 'kv'>): FileSums {
  const sum = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');
  const ofAdapter = { [CONFIG_FILE]: sum(files.config), [MODEL_FILE]: sum(files.model) };
  return kv === undefined ? ofAdapter : { ...ofAdapter, [KV_FILE]: sum(kv) };
}

/** sha256 over the parts, each behind its length: no two lists of parts look alike. */
function hashParts(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of [ENCODING, ...parts]) {
    hash.update(`${typeof part === 'string' ? Buffer.byteLength(part) : part.length}:`).update(part);
  }
  return hash.digest('hex');
}
