import fs from 'node:fs';

import type { BlendEntry, RequestPrefix } from '../engine/request.js';
import { sitesKv } from '../prefix/adapter/sites-tensors.js';
import { composeKv, SELF, selfKv } from '../prefix/kv.js';
import type { Model } from '../model/model.js';
import { loadAdapter, type TunedAdapter } from '../tuning/adapter-files.js';
import { TuningError } from '../tuning/errors.js';

/** How the base model is named in a blend of directories. */
const BASE = 'base';

/** One entry of what is measured: directories of adapters that are composed, or none for the base model, and a weight. */
interface Term {
  readonly directories: readonly string[];
  readonly weight: number;
}

/** Adapters that are measured together, read from their directories. */
export interface Mixture {
  /** One without a weight of its own: a prefix, a composition or the bare model; several, or one with a weight other than 1: a blend. */
  readonly entries: readonly { readonly adapters: readonly TunedAdapter[]; readonly weight: number }[];
}

/**
 * Reads what a name stands for: a directory; several that are composed, `a+b`; or a blend, `1.5*a,-0.5*base`, of which each entry may be a
 * composition or the base model. A name that is a directory's own is that directory.
 * @param name undefined: the bare model
 * @throws TuningError for a name that is none of these, and for a directory as `loadAdapter`
 */
export async function loadMixture(name: string | undefined, { base }: Pick<Model, 'base'>): Promise<Mixture> {
  const entries = parse(name).map(async ({ directories, weight }) => {
    return { adapters: await Promise.all(directories.map((directory) => loadAdapter(directory, base))), weight };
  });
  return { entries: await Promise.all(entries) };
}

/** Whether there is more than one prefix, or none, to ask. */
export function isBlend({ entries }: Mixture): boolean {
  return entries.length > 1 || entries[0]?.weight !== 1;
}

/**
 * The entries of a mixture as requests use them.
 * @param name of the mixture, for errors
 * @throws TuningError for adapters of both placements in one composition
 */
export function toEntries({ entries }: Mixture, name: string | undefined, model: Model): Promise<BlendEntry[]> {
  return Promise.all(
    entries.map(async ({ adapters, weight }) => {
      const prefixes = await Promise.all(adapters.map((adapter) => toRequestPrefix(adapter, model)));
      return { prefix: compose(prefixes, name), weight };
    }),
  );
}

function parse(name: string | undefined): readonly Term[] {
  if (name === undefined) return [{ directories: [], weight: 1 }];
  if (fs.existsSync(name)) return [{ directories: [name], weight: 1 }];
  if (!name.includes('*')) return [{ directories: name.split('+'), weight: 1 }];
  return name.split(',').map((entry) => {
    const [weight = '', ...rest] = entry.split('*');
    const text = rest.join('*');
    if (!(weight.trim() !== '' && Number.isFinite(Number(weight))) || text === '') {
      throw new TuningError('adapter', `'${entry}' is no entry of a blend: WEIGHT*DIRECTORY, or WEIGHT*${BASE}`, {
        where: name,
      });
    }
    return { directories: text === BASE ? [] : text.split('+'), weight: Number(weight) };
  });
}

function compose(prefixes: readonly RequestPrefix[], name: string | undefined): RequestPrefix | undefined {
  const [first, ...others] = prefixes;
  if (first === undefined || others.length === 0) return first;
  if (others.some(({ placement }) => placement !== first.placement)) {
    throw new TuningError('adapter', 'prefixes and infixes are not composed with each other', { where: name });
  }
  return { kv: composeKv(prefixes.map(({ kv }) => kv)), placement: first.placement };
}

/** The adapter as requests use it, made as the server makes it at upload. */
async function toRequestPrefix(adapter: TunedAdapter, { base, encoder }: Model): Promise<RequestPrefix> {
  const { method, length, sites, rows } = adapter;
  if (sites !== undefined) return { kv: sitesKv(rows, base), placement: 'prefix' };
  const own = rows.get(SELF) as Float32Array;
  if (method !== 'embedding') return { kv: selfKv(length, own), placement: method };
  return { kv: await encoder.encodeEmbeddings(own, length), placement: 'prefix' };
}
