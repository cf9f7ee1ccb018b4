/** The attention layers of a model that read keys and values of one kind: a prefix can put virtual tokens in front of them. */
export interface AttentionSite {
  /** `self` in a decoder-only model; `encoder`, `decoder` or `cross` in an encoder-decoder. */
  readonly name: string;
  readonly layers: number;
  /** Heads of keys and values; groups of query heads may share one. */
  readonly kvHeads: number;
  /** Heads of queries, a multiple of `kvHeads`; as many unless given. */
  readonly queryHeads?: number;
  readonly headDim: number;
}

/** Numbers in the row of one virtual token at a site: its key and its value in each layer. */
export function rowWidth({ layers, kvHeads, headDim }: AttentionSite): number {
  return layers * 2 * kvHeads * headDim;
}

/** Heads of queries at a site. */
export function queryHeadsOf({ kvHeads, queryHeads = kvHeads }: AttentionSite): number {
  return queryHeads;
}

/** The numbers of a frozen model that decide what fits it. */
export interface ModelShape {
  readonly sites: readonly AttentionSite[];
  /** Width of the residual stream, and of input embeddings. */
  readonly width: number;
  /** Positions of a sequence: of a decoder, its target's. */
  readonly contextLength: number;
  readonly vocabularySize: number;
  /** Positions of an encoder's input; undefined for a decoder-only model. */
  readonly sourceLength?: number | undefined;
}

/** A frozen model as the prefixes that belong to it know it. */
export interface BaseModel extends ModelShape {
  /** The id in the API, and the name that an adapter's `base_model_name_or_path` should end in. */
  readonly id: string;
  /** Hex sha256 over weights, shape and tokenizer: a prefix belongs to exactly one. */
  readonly fingerprint: string;
}

/** Name of a decoder-only model's only site. */
export const SELF = 'self';
/** Site of an encoder's self-attention. */
export const ENCODER = 'encoder';
/** Site of a decoder's self-attention, in a model with an encoder. */
export const DECODER = 'decoder';
/** Site of a decoder's attention to its encoder's output. */
export const CROSS = 'cross';

/** The site of a decoder-only model. Throws for a model that has other sites. */
export function selfSite({ sites }: Pick<ModelShape, 'sites'>): AttentionSite {
  const [site, another] = sites;
  if (site?.name !== SELF || another !== undefined) {
    throw new Error(`a decoder-only model is needed, not one of sites ${sites.map(({ name }) => name).join(', ')}`);
  }
  return site;
}

/** Whether a model has an encoder, whose prefixes have rows at several sites. */
export function hasEncoder({ sites }: Pick<ModelShape, 'sites'>): boolean {
  return sites.some(({ name }) => name === ENCODER);
}

/** The site of that name. Throws for a model without it. */
export function siteNamed({ sites }: Pick<ModelShape, 'sites'>, name: string): AttentionSite {
  const site = sites.find((one) => one.name === name);
  if (site === undefined) throw new Error(`the model has no site ${name}`);
  return site;
}

/** The site whose keys and values a sequence's slot holds: `self`, or an encoder-decoder's `decoder`. */
export function slotSite(shape: Pick<ModelShape, 'sites'>): AttentionSite {
  return shape.sites.some(({ name }) => name === DECODER) ? siteNamed(shape, DECODER) : selfSite(shape);
}

/** Keys and values of virtual tokens. Immutable; shared by every request that uses them. */
export interface PrefixKv {
  /** Positions that the prefix takes in a sequence's slot: its virtual tokens at the site where the slot is. */
  readonly length: number;
  /** Positions by which the tokens behind it are counted further: `length` in a decoder-only model; none if the virtual tokens are not counted. */
  readonly shift: number;
  /**
   * Rows at each site that has virtual tokens, by the site's name: `[P, rowWidth(site)]`, where P may differ from site to site. As PEFT
   * writes them: column block 2l is layer l's keys, 2l + 1 its values, head-major.
   */
  readonly rows: ReadonlyMap<string, Float32Array>;
  /** Input embeddings `[P, width]` that stand before a source's; undefined or left out: none. */
  readonly sourceEmbeddings?: Float32Array | undefined;
  /** Of a composition (`composeKv`): its prefixes in order, whose rows and embeddings are its own; it has no others. */
  readonly parts?: readonly PrefixKv[] | undefined;
}

/** The prefix of a decoder-only model: `rows` is `[length, rowWidth(site)]`. */
export function selfKv(length: number, rows: Float32Array): PrefixKv {
  return { length, shift: length, rows: new Map([[SELF, rows]]) };
}

/** The rows of a decoder-only model's prefix. */
export function selfRows({ rows }: PrefixKv): Float32Array {
  const own = rows.get(SELF);
  if (own === undefined) throw new Error(`the prefix has no rows at the site ${SELF}`);
  return own;
}

/**
 * Prefixes one after the other: at each site the virtual tokens of the second stand behind those of the first, and so on. Nothing is copied.
 * @param parts at least one, none a composition
 */
export function composeKv(parts: readonly PrefixKv[]): PrefixKv {
  const sum = (of: 'length' | 'shift'): number => parts.reduce((total, part) => total + part[of], 0);
  return { length: sum('length'), shift: sum('shift'), rows: new Map(), parts };
}

/** The prefixes that a prefix is composed of, in order; of one that is no composition, itself. */
export function partsOf(kv: PrefixKv): readonly PrefixKv[] {
  return kv.parts ?? [kv];
}

/** What of a prefix an encoder reads beside a source: embeddings and rows of `encoder` and `cross`, those of a composition copied into one. */
export function sourceKv(kv: PrefixKv): PrefixKv {
  const { parts } = kv;
  if (parts === undefined) return kv;
  const rows = [ENCODER, CROSS].map((site) => [site, concat(parts.map((part) => part.rows.get(site)))] as const);
  const sourceEmbeddings = concat(parts.map((part) => part.sourceEmbeddings));
  return { length: 0, shift: 0, rows: new Map(rows.filter(([, { length }]) => length > 0)), sourceEmbeddings };
}

function concat(arrays: readonly (Float32Array | undefined)[]): Float32Array {
  const all = new Float32Array(arrays.reduce((total, array) => total + (array?.length ?? 0), 0));
  let at = 0;
  for (const array of arrays) {
    if (array === undefined) continue;
    all.set(array, at);
    at += array.length;
  }
  return all;
}

/** Virtual tokens that a prefix, if there is one, has at a site. */
export function numVirtualTokens(kv: Pick<PrefixKv, 'rows' | 'parts'> | undefined, site: AttentionSite): number {
  if (kv === undefined) return 0;
  const values = (kv.parts ?? [kv]).reduce((total, { rows }) => total + (rows.get(site.name)?.length ?? 0), 0);
  return values / rowWidth(site);
}

/** Input embeddings that a prefix, if there is one, puts before a source. */
export function numSourceEmbeddings(kv: PrefixKv | undefined, { width }: Pick<ModelShape, 'width'>): number {
  if (kv === undefined) return 0;
  return partsOf(kv).reduce((total, { sourceEmbeddings }) => total + (sourceEmbeddings?.length ?? 0), 0) / width;
}

/** Bytes of a prefix's rows at all sites, and of its embeddings. */
export function kvBytes({ rows, sourceEmbeddings }: PrefixKv): number {
  return [...rows.values()].reduce((bytes, { byteLength }) => bytes + byteLength, sourceEmbeddings?.byteLength ?? 0);
}

/** Runs input embeddings or tokens through the frozen model, once, at upload. */
export interface PrefixEncoder {
  /** Input embeddings `[P, width]` at positions 0 to P - 1 (PEFT's prompt tuning) to their keys and values. */
  encodeEmbeddings(embeddings: Float32Array, length: number): Promise<PrefixKv>;
  /** Token ids at positions 0 to P - 1 (a text prefix) to their keys and values. */
  encodeTokens(tokens: readonly number[]): Promise<PrefixKv>;
}
