import { parseAdapterConfig } from './config.js';
import type { ConfigOptions } from './config-fields.js';
import { type AdapterFiles, type AdapterKind, defaultMaxLength, type Placement, PREFIX_TENSOR } from './format.js';
import { type BaseModel, rowWidth, selfSite } from '../kv.js';
import { checkShape, checkSizes, decodeRows, parseHeader, tensorsNamed } from './tensors.js';
import { magnitudeWarnings } from './values.js';

export interface AdapterOptions extends ConfigOptions {
  /** Most virtual tokens, at each site; half of the model's context unless given. */
  readonly maxLength?: number | undefined;
}

/** An adapter of a decoder-only model that may be served. */
export interface Adapter {
  readonly kind: AdapterKind;
  readonly placement: Placement;
  /** Number of virtual tokens P. */
  readonly length: number;
  /** `[P, rowWidth(site)]` for a prefix, `[P, width]` for a soft prompt; finite. */
  readonly rows: Float32Array;
  readonly warnings: readonly string[];
}

/**
 * Checks untrusted files against a frozen decoder-only model, in the order of the format's specification, and decodes the rows.
 * Throws `PrefixError` with a code of its own for every refusal; nothing is allocated before its size was checked.
 */
export function readAdapter(files: AdapterFiles, base: BaseModel, options: AdapterOptions = {}): Adapter {
  checkSizes(files, base);
  const header = parseHeader(files.model);
  const rowCount = header.tensors.get(PREFIX_TENSOR)?.shape[0];
  const { kind, placement, warnings } = parseAdapterConfig(files.config, base, rowCount, options);
  const [tensor] = tensorsNamed(header, [PREFIX_TENSOR]);
  const columns = kind === 'prefix' ? rowWidth(selfSite(base)) : base.width;
  const { maxLength = defaultMaxLength(base) } = options;
  const length = checkShape(tensor, { name: PREFIX_TENSOR, columns, maxLength, base });
  const rows = decodeRows(files.model, tensor, PREFIX_TENSOR);
  return { kind, placement, length, rows, warnings: [...warnings, ...magnitudeWarnings(rows, length)] };
}
