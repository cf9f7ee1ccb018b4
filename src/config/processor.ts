import { readFileSync } from 'node:fs';

import type { Int8Form } from '../model/precision.js';

/** What of a processor decides how 8-bit weights are multiplied. */
export interface Processor {
  /** As `process.arch`. */
  readonly arch: string;
  /** Names of its instruction sets, as Linux writes them; empty where the system does not tell. */
  readonly features: ReadonlySet<string>;
}

/** Reads the processor's features from the system. */
function readProcessor(): Processor {
  return { arch: process.arch, features: featuresOf(cpuinfo()) };
}

/** The features of the first processor in the text of `/proc/cpuinfo`; empty for a text without them. */
export function featuresOf(text: string): ReadonlySet<string> {
  const [, list = ''] = /^(?:flags|Features)\s*:(.*)$/m.exec(text) ?? [];
  return new Set(list.split(' ').filter(Boolean));
}

/**
 * The form of 8-bit weights that a processor computes fastest (docs/decisions/0037). On x64 without VNNI, products with signed weights
 * saturate; unsigned ones are exact on all x64. Other processors have not been measured.
 */
export function int8Form({ arch, features }: Processor = readProcessor()): Int8Form {
  if (arch !== 'x64') return 'blocks';
  return features.has('avx512_vnni') || features.has('avx_vnni') ? 'signed' : 'unsigned';
}

function cpuinfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return ''; // not Linux
  }
}
