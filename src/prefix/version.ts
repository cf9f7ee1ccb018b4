import { createHash } from 'node:crypto';

import type { AdapterFiles, Placement } from './format.js';

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

/** sha256 over the parts, each behind its length: no two lists of parts look alike. */
function hashParts(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of [ENCODING, ...parts]) {
    hash.update(`${typeof part === 'string' ? Buffer.byteLength(part) : part.length}:`).update(part);
  }
  return hash.digest('hex');
}
