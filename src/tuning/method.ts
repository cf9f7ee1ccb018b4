import { type ModelShape, rowWidth, SELF, selfSite } from '../prefix/kv.js';
import { TuningError } from './errors.js';

/**
 * Kinds of trained rows. `prefix`: keys and values of every layer before the prompt, in an encoder-decoder at several sites; `infix`:
 * before the prompt's last token; `embedding`: input embeddings before the prompt, from which the frozen model computes keys and values.
 */
export const METHODS = ['prefix', 'embedding', 'infix'] as const;
export type Method = (typeof METHODS)[number];

/** Shape of the trained rows. */
export interface TunedShape {
  readonly method: Method;
  /** Virtual tokens P; of an encoder-decoder, those of the site that has most. */
  readonly length: number;
  /** Width of the hidden layer of the MLP that the rows come from while they are trained (section 4.3); 0 for none. */
  readonly mlp: number;
  /** Virtual tokens at each trained site of an encoder-decoder; undefined for a decoder-only model. */
  readonly sites?: Readonly<Record<string, number>> | undefined;
}

/** Tensors of a set of rows: the rows themselves, or the MLP that they come from. */
export type SetTensor = 'rows' | 'wte' | 'w0' | 'b0' | 'w2' | 'b2';
/** Names of the trained tensors; those of an encoder-decoder have their site in front, as in `cross.rows`. */
export type ParameterName = SetTensor | `${string}.${SetTensor}`;

/** Rows that are trained together, and exported: one set for each site, each with an MLP of its own. */
export interface RowSet {
  /** The site; `self` in a decoder-only model, for embeddings too. */
  readonly site: string;
  readonly length: number;
  /** Of an exported row: `rowWidth(site)` of keys and values, or `width` of an embedding. */
  readonly columns: number;
  readonly nameOf: (tensor: SetTensor) => ParameterName;
}

/** The sets of a shape, in the order of the model's sites. */
export function rowSets(frozen: ModelShape, { method, length, sites }: TunedShape): RowSet[] {
  if (sites === undefined) {
    const columns = method === 'embedding' ? frozen.width : rowWidth(selfSite(frozen));
    return [{ site: SELF, length, columns, nameOf: (tensor) => tensor }];
  }
  return frozen.sites.flatMap((site) => {
    const own = sites[site.name];
    if (own === undefined) return [];
    return [{ site: site.name, length: own, columns: rowWidth(site), nameOf: (tensor) => `${site.name}.${tensor}` }];
  });
}

/** What decides the shape of a run, but for its length. */
export interface ShapeSettings {
  readonly method: Method;
  readonly mlp: number;
  /** As in `TuneSettings`. */
  readonly sites?: readonly string[] | undefined;
}

/** The shape with `length` virtual tokens at every trained site. Throws as `trainedSites`. */
export function tunedShape(frozen: ModelShape, { method, mlp, sites }: ShapeSettings, length: number): TunedShape {
  const names = trainedSites(frozen, { method, sites });
  if (names === undefined) return { method, length, mlp };
  return { method, length, mlp, sites: Object.fromEntries(names.map((name) => [name, length])) };
}

/**
 * The sites that a run trains: those asked for, or all of an encoder-decoder; undefined for a decoder-only model, which has one.
 * Throws `TuningError` for sites that the model does not have, and for methods that an encoder-decoder does not take.
 */
export function trainedSites(
  frozen: ModelShape,
  { method, sites }: Pick<ShapeSettings, 'method' | 'sites'>,
): readonly string[] | undefined {
  const known = frozen.sites.map(({ name }) => name);
  if (frozen.sourceLength === undefined) {
    if (sites === undefined) return undefined;
    throw new TuningError('sites', 'the model has no encoder; only encoder-decoders take sites');
  }
  if (method !== 'prefix') {
    throw new TuningError('method', `the model is an encoder-decoder, which takes prefix only, not ${method}`);
  }
  if (sites === undefined) return known;
  if (sites.length === 0) throw new TuningError('sites', `none given; at least one of ${known.join(', ')} is needed`);
  for (const name of sites) siteOrRefuse(name, known);
  return known.filter((name) => sites.includes(name));
}

function siteOrRefuse(name: string, known: readonly string[]): void {
  if (known.includes(name)) return;
  throw new TuningError('sites', `${JSON.stringify(name)} is no site of the model; it has ${known.join(', ')}`);
}

/**
 * The trained tensors by name. With an MLP, as Li & Liang's code lays it out: `rows = tanh(wte @ w0' + b0) @ w2' + b2`,
 * `wte` `[P, width]`, `w0` `[mlp, width]`, `w2` `[columns, mlp]`.
 */
export function parameterShapes(frozen: ModelShape, shape: TunedShape): ReadonlyMap<ParameterName, readonly number[]> {
  return new Map(rowSets(frozen, shape).flatMap((set) => setShapes(set, frozen.width, shape.mlp)));
}

function setShapes(
  { length, columns, nameOf }: RowSet,
  width: number,
  mlp: number,
): [ParameterName, readonly number[]][] {
  if (mlp === 0) return [[nameOf('rows'), [length, columns]]];
  return [
    [nameOf('wte'), [length, width]],
    [nameOf('w0'), [mlp, width]],
    [nameOf('b0'), [mlp]],
    [nameOf('w2'), [columns, mlp]],
    [nameOf('b2'), [columns]],
  ];
}

/** Numbers that are trained. */
export function parameterCount(frozen: ModelShape, shape: TunedShape): number {
  return [...parameterShapes(frozen, shape).values()].reduce((sum, dims) => sum + dims.reduce((a, b) => a * b, 1), 0);
}

/** Numbers that an exported adapter has. */
export function storedCount(frozen: ModelShape, shape: TunedShape): number {
  return rowSets(frozen, shape).reduce((sum, { length, columns }) => sum + length * columns, 0);
}
