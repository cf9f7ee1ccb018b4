import { CROSS, DECODER, ENCODER } from '../prefix/kv.js';
import { ConversionError, shown } from './errors.js';
import { checkNumber, type Fields, fieldsOf, refuseValue, textOf } from './fields.js';
import { checkSize, foldMlp, type SiteRows } from './reparametrization.js';
import type { SourcePrefix } from './source-prefix.js';
import { areEqual, type SourceTensor, type SourceTensors, valuesOf } from './tensors.js';

/** The library's name of each site. */
const SITES = { [ENCODER]: 'encoder_prefix', [DECODER]: 'self_prefix', [CROSS]: 'cross_prefix' } as const;

/** A prefix of the library in the middle of a tensor's name: the name of the adapter, the site, and the parameter. */
const POOL = /(?:^|\.)prefix_tunings\.([^.]+)\.((?:encoder|self|cross)_prefix)\.(.+)$/;

/** Whether a file with such tensors is one of the library. */
export function isAdapterHub(tensors: SourceTensors): boolean {
  return [...tensors.keys()].some((name) => name.includes('prefix_tuning'));
}

/**
 * A prefix of AdapterHub's library `adapters`, trained on a BART.
 * @param file the library's `adapter_config.json`
 * @throws ConversionError for other methods and settings of the library, and names the field
 */
export function readAdapterHub(tensors: SourceTensors, file: Fields): SourcePrefix {
  const config = fieldsOf(file, 'config');
  refuseValue(file, 'model_type', ['bart']);
  refuseValue(config, 'architecture', ['prefix_tuning']);
  refuseValue(config, 'use_gating', [false]);
  const leftOut = config['leave_out'];
  if (Array.isArray(leftOut) && leftOut.length > 0) {
    throw new ConversionError('leave_out: layers without a prefix are not supported; every layer of a site has one');
  }
  const own = withoutCopies(tensors);
  const sites = new Map<string, SiteRows>();
  for (const [site, location] of Object.entries(SITES)) {
    if ([...own.keys()].some((name) => name.startsWith(`${location}.`))) {
      sites.set(site, readSite(own, location, file, config));
    }
  }
  checkLocations(config, sites);
  return { sites, base: textOf(file, 'model_name') };
}

/** The tensors of the sites, by `LOCATION.PARAMETER`. The library writes each once for every attention that uses it. */
function withoutCopies(tensors: SourceTensors): SourceTensors {
  const own = new Map<string, SourceTensor>();
  let adapter: string | undefined;
  for (const [name, tensor] of tensors) {
    const [, owner, location, parameter] = POOL.exec(name) ?? [];
    if (owner === undefined || (adapter !== undefined && owner !== adapter)) {
      throw new ConversionError(`the tensor ${shown(name)} is not of ${adapter ?? 'a prefix'}; one prefix is accepted`);
    }
    adapter = owner;
    const key = `${location}.${parameter}`;
    const known = own.get(key);
    if (known !== undefined && !areEqual(known, tensor)) {
      throw new ConversionError(`the copies of ${key} in the file differ, so it is not clear which one is meant`);
    }
    own.set(key, tensor);
  }
  return own;
}

function readSite(tensors: SourceTensors, location: string, file: Fields, config: Fields): SiteRows {
  const mlp = `${location}.control_trans`;
  const flat = tensors.get(mlp);
  if (flat === undefined) {
    refuseValue(config, 'non_linearity', ['tanh']);
    const site = foldMlp(tensors, `${location}.wte`, mlp);
    checkNumber(config, 'prefix_length', site.length);
    checkNumber(file, 'hidden_size', site.width);
    return site;
  }
  const [length, width] = [countOf(config, 'prefix_length'), countOf(file, 'hidden_size')];
  const numbers = flat.shape.reduce((all, dim) => all * dim, 1);
  checkSize(mlp, 1, numbers);
  const rows = valuesOf(tensors, mlp, numbers);
  return { rows, length, width };
}

/** Sites that the config names and those of the tensors are the same: else the file was cut. */
function checkLocations(config: Fields, sites: ReadonlyMap<string, SiteRows>): void {
  for (const [field, site] of [
    ['encoder_prefix', ENCODER],
    ['cross_prefix', CROSS],
  ] as const) {
    if (typeof config[field] === 'boolean') refuseValue(config, field, [sites.has(site)]);
  }
}

function countOf(fields: Fields, name: string): number {
  const value = fields[name];
  if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
  throw new ConversionError(`${name}: needed for a flat prefix, a whole number above 0`);
}
