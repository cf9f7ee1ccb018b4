import type { AdapterFiles, AdapterKind, Placement, SiteLengths } from './format.js';
import {
  type BaseModel,
  hasEncoder,
  kvBytes,
  type PrefixEncoder,
  type PrefixKv,
  rowWidth,
  selfKv,
  selfSite,
} from '../kv.js';
import { type AdapterOptions, readAdapter } from './read.js';
import { readSitesAdapter } from './read-sites.js';
import { siteLengths } from './sites-tensors.js';

/** An adapter of a model of any family that may be served, as a library describes it. */
export interface CheckedAdapter {
  readonly kind: AdapterKind;
  readonly placement: Placement;
  /** As in `PrefixInfo`. */
  readonly numVirtualTokens: number;
  /** As in `PrefixInfo`. */
  readonly sites?: SiteLengths;
  /** As in `PrefixInfo`. */
  readonly bytes: number;
  readonly warnings: readonly string[];
  /** What is served; a soft prompt of a decoder-only model is run through the encoder. */
  readonly toKv: (encoder: PrefixEncoder) => Promise<PrefixKv>;
}

/** Checks untrusted files against a frozen model of any family. Throws `PrefixError` as `readAdapter` and `readSitesAdapter` do. */
export function checkAdapter(files: AdapterFiles, base: BaseModel, options: AdapterOptions): CheckedAdapter {
  return hasEncoder(base) ? ofSites(files, base, options) : ofSelf(files, base, options);
}

/** Bytes of a decoder-only model's keys and values for virtual tokens, as float32. */
export function selfBytes(numVirtualTokens: number, base: BaseModel): number {
  return numVirtualTokens * rowWidth(selfSite(base)) * Float32Array.BYTES_PER_ELEMENT;
}

function ofSelf(files: AdapterFiles, base: BaseModel, options: AdapterOptions): CheckedAdapter {
  const { kind, placement, length, rows, warnings } = readAdapter(files, base, options);
  return {
    ...{ kind, placement, numVirtualTokens: length, bytes: selfBytes(length, base), warnings },
    toKv: (encoder) =>
      kind === 'prefix' ? Promise.resolve(selfKv(length, rows)) : encoder.encodeEmbeddings(rows, length),
  };
}

function ofSites(files: AdapterFiles, base: BaseModel, options: AdapterOptions): CheckedAdapter {
  const { kind, placement, length, kv, warnings } = readSitesAdapter(files, base, options);
  return {
    ...{ kind, placement, numVirtualTokens: length, bytes: kvBytes(kv), warnings },
    ...(kind === 'prefix' && { sites: siteLengths(kv, base) }),
    toKv: () => Promise.resolve(kv),
  };
}
