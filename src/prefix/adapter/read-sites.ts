import { type AdapterFiles, type AdapterKind, defaultMaxLength, PREFIX_TENSOR, siteTensor } from './format.js';
import { type BaseModel, ENCODER, type PrefixKv, rowWidth, siteNamed } from '../kv.js';
import type { AdapterOptions } from './read.js';
import { parseSitesConfig } from './sites-config.js';
import { peftKv, peftLayers, sitesKv, sourceKv } from './sites-tensors.js';
import { checkShape, checkSizes, decodeRows, parseHeader, tensorsNamed } from './tensors.js';
import { magnitudeWarnings } from './values.js';

/** An adapter of an encoder-decoder that may be served. */
export interface SitesAdapter {
  readonly kind: AdapterKind;
  /** An encoder-decoder has no infixes. */
  readonly placement: 'prefix';
  /** Virtual tokens: those of the site that has most, or embeddings before the source. */
  readonly length: number;
  /** Finite. */
  readonly kv: PrefixKv;
  readonly warnings: readonly string[];
}

type Read = Pick<SitesAdapter, 'length' | 'kv' | 'warnings'>;

/**
 * Checks untrusted files against a frozen encoder-decoder, as `readAdapter` does for a decoder-only model, and decodes the rows.
 * Files are those of this program, with rows at any sites, or those that PEFT writes, which mean what PEFT's forward pass makes of them.
 */
export function readSitesAdapter(files: AdapterFiles, base: BaseModel, options: AdapterOptions = {}): SitesAdapter {
  checkSizes(files, base);
  const { model } = files;
  const header = parseHeader(model);
  const rowsOf = new Map([
    ...[...header.tensors].map(([name, { shape }]) => [name, shape[0]] as const),
    ...[...header.others.keys()].map((name) => [name, undefined] as const),
  ]);
  const { kind, sites, warnings } = parseSitesConfig(files.config, base, rowsOf, options);
  const { maxLength = defaultMaxLength(base) } = options;
  const upload = { model, header, base, maxLength };
  const read =
    sites !== undefined ? readSites(upload, sites) : kind === 'prefix' ? readPrefix(upload) : readEmbeddings(upload);
  return { ...read, kind, placement: 'prefix', warnings: [...warnings, ...read.warnings] };
}

interface Upload {
  readonly model: Uint8Array;
  readonly header: ReturnType<typeof parseHeader>;
  readonly base: BaseModel;
  readonly maxLength: number;
}

function readSites({ model, header, base, maxLength }: Upload, sites: readonly string[]): Read {
  const names = sites.map(siteTensor);
  const tensors = tensorsNamed(header, names);
  const lengths = tensors.map((tensor, i) => {
    const columns = rowWidth(siteNamed(base, sites[i] ?? ''));
    return checkShape(tensor, { name: names[i] ?? '', columns, maxLength, base });
  });
  const rows = tensors.map((tensor, i) => decodeRows(model, tensor, names[i] ?? ''));
  const kv = sitesKv(new Map(sites.map((site, i) => [site, rows[i] as Float32Array])), base);
  const warnings = sites.flatMap((site, i) =>
    magnitudeWarnings(rows[i] as Float32Array, lengths[i] as number).map((warning) => `${site}: ${warning}`),
  );
  return { length: Math.max(...lengths), kv, warnings };
}

/** PEFT's PREFIX_TUNING. */
function readPrefix({ model, header, base, maxLength }: Upload): Read {
  const [tensor] = tensorsNamed(header, [PREFIX_TENSOR]);
  const { layers, ...encoder } = siteNamed(base, ENCODER);
  const columns = rowWidth({ layers, ...encoder });
  const length = checkShape(tensor, { name: PREFIX_TENSOR, columns, maxLength, base });
  const kv = peftKv(decodeRows(model, tensor, PREFIX_TENSOR), length, base);
  const used = peftLayers(base);
  const unused = Array.from({ length: layers }, (_, layer) => layer).filter((layer) => !used.includes(layer));
  const meaning =
    "served as PEFT's forward pass has it: in the decoder's self-attention only, not in the encoder or in cross-attention; " +
    `layers 0 to ${used.length - 1} of the decoder use the file's layers ${used.join(', ')}` +
    (unused.length === 0 ? '' : `, and its layers ${unused.join(', ')} are not used`) +
    `; the target's positions begin at ${length}`;
  const rows = [...kv.rows.values()].flatMap((siteRows) => magnitudeWarnings(siteRows, length));
  return { length, kv, warnings: [meaning, ...rows] };
}

/** PEFT's PROMPT_TUNING and P_TUNING, which write embeddings for the encoder and as many for the decoder. */
function readEmbeddings({ model, header, base, maxLength }: Upload): Read {
  const [tensor] = tensorsNamed(header, [PREFIX_TENSOR]);
  const expected = { name: PREFIX_TENSOR, columns: base.width, maxLength, base, rowsPerToken: 2 };
  const length = checkShape(tensor, expected);
  const embeddings = decodeRows(model, tensor, PREFIX_TENSOR).slice(0, length * base.width);
  const meaning =
    `served as PEFT's forward pass has it: rows 0 to ${length - 1} stand before the source's embeddings, ` +
    `and rows ${length} to ${2 * length - 1} are not used`;
  return { length, kv: sourceKv(embeddings), warnings: [meaning, ...magnitudeWarnings(embeddings, length)] };
}
