import type { FloatTensor, TensorEntry } from '../../safetensors/index.js';
import { PREFIX_TENSOR, type SiteLengths, siteTensor, SOURCE_TENSOR } from './format.js';
import { DECODER, ENCODER, type ModelShape, numVirtualTokens, type PrefixKv, rowWidth, siteNamed } from '../kv.js';

/** Virtual tokens at each site where an encoder-decoder's prefix has some. */
export function siteLengths({ rows }: PrefixKv, shape: Pick<ModelShape, 'sites'>): SiteLengths {
  return Object.fromEntries([...rows.keys()].map((site) => [site, numVirtualTokens({ rows }, siteNamed(shape, site))]));
}

/** An encoder-decoder's prefix whose virtual tokens are not counted as positions, from its rows by site. */
export function sitesKv(rows: ReadonlyMap<string, Float32Array>, shape: ModelShape): PrefixKv {
  return { length: numVirtualTokens({ rows }, siteNamed(shape, DECODER)), shift: 0, rows };
}

/** Embeddings `[P, width]` that stand before an encoder's source, and nothing else. */
export function sourceKv(embeddings: Float32Array): PrefixKv {
  return { length: 0, shift: 0, rows: new Map(), sourceEmbeddings: embeddings };
}

/**
 * The keys and values that PEFT's forward pass makes of its prefix for an encoder-decoder: rows for the decoder's self-attention, counted as
 * positions. PEFT joins the layers of the file with themselves and splits them by four, so that decoder layer l gets the file's layer
 * 2l modulo their number.
 * @param file `[length, 2 * layers * width]`, with as many layers as the encoder has
 */
export function peftKv(file: Float32Array, length: number, shape: ModelShape): PrefixKv {
  const [columns, needed] = [rowWidth(siteNamed(shape, ENCODER)), rowWidth(siteNamed(shape, DECODER))];
  const pair = 2 * shape.width;
  const rows = new Float32Array(length * needed);
  for (let token = 0; token < length; token++) {
    for (const [layer, from] of peftLayers(shape).entries()) {
      const begin = token * columns + from * pair;
      rows.set(file.subarray(begin, begin + pair), token * needed + layer * pair);
    }
  }
  return { length, shift: length, rows: new Map([[DECODER, rows]]) };
}

/** For each layer of the decoder, the layer of PEFT's file that it gets. */
export function peftLayers(shape: ModelShape): number[] {
  const { layers } = siteNamed(shape, ENCODER);
  return Array.from({ length: siteNamed(shape, DECODER).layers }, (_, layer) => (2 * layer) % layers);
}

/** Tensors of a file that holds an encoder-decoder's prefix, but for `shift`. */
export function sitesTensors(kv: PrefixKv, shape: Pick<ModelShape, 'sites' | 'width'>): Record<string, FloatTensor> {
  const tensors: Record<string, FloatTensor> = {};
  for (const [site, data] of kv.rows) {
    const columns = rowWidth(siteNamed(shape, site));
    tensors[siteTensor(site)] = { shape: [data.length / columns, columns], data };
  }
  const { sourceEmbeddings: data } = kv;
  if (data !== undefined) tensors[SOURCE_TENSOR] = { shape: [data.length / shape.width, shape.width], data };
  return tensors;
}

/** A prefix from the tensors of a stored file: of sites, of embeddings, or PEFT's own. Undefined for tensors that are not of this model. */
export function sitesKvOf(
  tensors: ReadonlyMap<string, TensorEntry>,
  shape: ModelShape,
  decode: (tensor: TensorEntry) => Float32Array,
): PrefixKv | undefined {
  const fits = (name: string, columns: number): TensorEntry | undefined => {
    const tensor = tensors.get(name);
    const [rows = 0, found] = tensor?.shape ?? [];
    return rows > 0 && found === columns ? tensor : undefined;
  };
  const [only] = tensors.size === 1 ? tensors.keys() : [];
  const peft = only === PREFIX_TENSOR ? fits(only, rowWidth(siteNamed(shape, ENCODER))) : undefined;
  if (peft !== undefined) return peftKv(decode(peft), peft.shape[0] ?? 0, shape);
  const source = only === SOURCE_TENSOR ? fits(only, shape.width) : undefined;
  if (source !== undefined) return sourceKv(decode(source));

  const found = shape.sites.flatMap((site) => {
    const tensor = fits(siteTensor(site.name), rowWidth(site));
    return tensor === undefined ? [] : [[site.name, tensor] as const];
  });
  if (found.length === 0 || found.length !== tensors.size) return undefined;
  return sitesKv(new Map(found.map(([site, tensor]) => [site, decode(tensor)])), shape);
}
