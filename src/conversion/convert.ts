import type { AdapterFiles, SiteLengths } from '../prefix/adapter/format.js';
import { sitesAdapter } from '../prefix/adapter/kv-file.js';
import { type AttentionSite, CROSS, DECODER, ENCODER } from '../prefix/kv.js';
import { isAdapterHub, readAdapterHub } from './adapterhub.js';
import { ConversionError, shown } from './errors.js';
import type { Fields } from './fields.js';
import { isLiLiang, readLiLiang } from './li-liang.js';
import type { SiteRows } from './reparametrization.js';
import type { SourcePrefix } from './source-prefix.js';
import type { SourceTensors } from './tensors.js';

/** A prefix for an encoder-decoder in this program's files. */
export interface ConvertedPrefix {
  readonly files: AdapterFiles;
  /** Virtual tokens at each site. */
  readonly sites: SiteLengths;
  /** Layers of the encoder, and of the decoder: undefined where the prefix has no rows. */
  readonly encoderLayers: number | undefined;
  readonly decoderLayers: number | undefined;
  readonly width: number;
}

/** What a file of another program consists of. */
export interface ConversionSource {
  readonly tensors: SourceTensors;
  /** `adapter_config.json` beside the tensors; undefined if there is none. */
  readonly adapterConfig: Fields | undefined;
  /** `config.json` beside the tensors; undefined if there is none. */
  readonly modelConfig: Fields | undefined;
  /** The base model's name; undefined: what the files say. */
  readonly base: string | undefined;
}

/**
 * Converts a prefix of AdapterHub's library or of Li and Liang's code for BART. Layers and width follow from the tensors; whether they
 * are those of a model is checked at upload.
 * @throws ConversionError
 */
export function convertPrefix(source: ConversionSource): ConvertedPrefix {
  const { sites, base } = readSource(source);
  const [width, another] = new Set([...sites.values()].map((site) => site.width));
  if (width === undefined) throw new ConversionError('the file has no virtual tokens');
  if (another !== undefined) throw new ConversionError(`the sites are of models of width ${width} and ${another}`);
  const shapes = [...sites].map(([site, rows]) => shapeOf(site, rows));
  const layers = new Map(shapes.map((shape) => [shape.name, shape.layers]));
  const [self, cross] = [layers.get(DECODER), layers.get(CROSS)];
  if (self !== undefined && cross !== undefined && self !== cross) {
    throw new ConversionError(`the decoder's self-attention has ${self} layers, its cross-attention ${cross}`);
  }
  const kv = {
    length: sites.get(DECODER)?.length ?? 0,
    shift: 0,
    rows: new Map([...sites].map(([site, { rows }]) => [site, rows])),
  };
  return {
    files: sitesAdapter(kv, { id: source.base ?? base ?? null, sites: shapes, width }),
    sites: Object.fromEntries([...sites].map(([site, { length }]) => [site, length])),
    encoderLayers: layers.get(ENCODER),
    decoderLayers: self ?? cross,
    width,
  };
}

function readSource({ tensors, adapterConfig, modelConfig }: ConversionSource): SourcePrefix {
  if (isAdapterHub(tensors)) {
    if (adapterConfig === undefined) throw new ConversionError('adapter_config.json: missing beside the tensors');
    return readAdapterHub(tensors, adapterConfig);
  }
  if (isLiLiang(tensors)) return readLiLiang(tensors, modelConfig ?? {});
  const [first] = tensors.keys();
  const found = first === undefined ? 'no tensors' : `a tensor ${shown(first)}`;
  throw new ConversionError(
    `the file is neither prefix tuning of AdapterHub's library nor a checkpoint of Li and Liang's code: it has ${found}`,
  );
}

/** The site's layers from the width of its rows. Heads have no effect on the layout. */
function shapeOf(name: string, { rows, length, width }: SiteRows): AttentionSite {
  const columns = rows.length / length;
  const layers = columns / (2 * width);
  if (!Number.isSafeInteger(layers) || layers < 1) {
    throw new ConversionError(
      `${name}: ${columns} numbers for a virtual token are no whole layers of keys and values of width ${width}`,
    );
  }
  const bad = rows.findIndex((value) => !Number.isFinite(value));
  if (bad !== -1) throw new ConversionError(`${name}: a value is infinite or no number`);
  return { name, layers, kvHeads: 1, headDim: width };
}
