import { createHash } from 'node:crypto';

import type { Method } from '../tuning/method.js';
import { TUNE_DEFAULTS } from '../tuning/settings.js';
import type { StudyAxes, StudySpec } from './spec.js';

/** The settings that a study varies. For the bare model only `method` counts. */
export interface RunSettings {
  readonly method: Method | 'none';
  /** Sites of an encoder-decoder, separated by commas; null for all, and for a decoder-only model. */
  readonly sites: string | null;
  readonly length: number;
  readonly mlp: number;
  readonly init: string;
  readonly lr: number;
  /** Number of training examples; null when `share` says it. */
  readonly examples: number | null;
  readonly share: number;
  readonly seed: number;
}

/** A run, and the name of its directory, made from its settings. */
export interface PlannedRun {
  readonly name: string;
  readonly settings: RunSettings;
}

/** The settings that are compared. The seeds of a group give the spread, and its best rate is chosen. */
export type GroupSettings = Omit<RunSettings, 'lr' | 'seed'>;

/**
 * Runs that differ only in rate and seed. The first seed tries every rate; the other seeds train with the rate that
 * was best in validation.
 */
export interface PlannedGroup {
  readonly settings: GroupSettings;
  readonly rates: readonly number[];
  readonly seeds: readonly number[];
}

/** A section of the report, and its groups. */
export interface PlannedPart {
  readonly title: string;
  readonly groups: readonly PlannedGroup[];
}

/** Settings of a run unless an axis gives them: those of `preamble tune`, and all examples. */
const DEFAULTS: RunSettings = {
  method: TUNE_DEFAULTS.method,
  sites: null,
  length: TUNE_DEFAULTS.length,
  mlp: TUNE_DEFAULTS.mlp,
  init: TUNE_DEFAULTS.init,
  lr: TUNE_DEFAULTS.learningRate,
  examples: null,
  share: 1,
  seed: TUNE_DEFAULTS.seed,
};

/** Plans the groups of each part: the product of its axes, without repetitions. */
export function planParts({ parts }: StudySpec): PlannedPart[] {
  return parts.map(({ title, axes }) => {
    const settings = new Map(product(axes).map((one) => [JSON.stringify(one), one]));
    return { title, groups: [...settings.values()].map((one) => planGroup(one, axes)) };
  });
}

/** The runs of the first seed, one for each rate. */
export function searchRuns({ settings, rates, seeds: [first] }: PlannedGroup): PlannedRun[] {
  return rates.map((lr) => planRun({ ...settings, lr, seed: first as number }));
}

/** The runs with one rate, one for each seed. */
export function seedRuns({ settings, seeds }: PlannedGroup, lr: number): PlannedRun[] {
  return seeds.map((seed) => planRun({ ...settings, lr, seed }));
}

/** Names of all runs that a study may consist of. Where the best rate is not known yet, the name says `best`. */
export function runNames(parts: readonly PlannedPart[]): string[] {
  const names = parts.flatMap(({ groups }) =>
    groups.flatMap((group) => {
      const { settings, rates, seeds } = group;
      if (rates.length === 1) return seedRuns(group, rates[0] as number).map(({ name }) => name);
      const others = seeds.slice(1).map((seed) => nameOf({ ...settings, lr: 'best', seed }));
      return [...searchRuns(group).map(({ name }) => name), ...others];
    }),
  );
  return [...new Set(names)];
}

function product(axes: StudyAxes): GroupSettings[] {
  const { lr: _, seed: __, ...defaults } = DEFAULTS;
  let all: GroupSettings[] = [defaults];
  for (const axis of Object.keys(defaults) as (keyof GroupSettings)[]) {
    const values = axes[axis];
    if (values) all = all.flatMap((settings) => values.map((value) => ({ ...settings, [axis]: value })));
  }
  return all.map(meaningful);
}

function planGroup(settings: GroupSettings, { lr, seed }: StudyAxes): PlannedGroup {
  const [rates, seeds] = [lr ?? [DEFAULTS.lr], seed ?? [DEFAULTS.seed]];
  if (settings.method === 'none') return { settings, rates: [DEFAULTS.lr], seeds: [DEFAULTS.seed] };
  return { settings, rates: rates.toSorted((a, b) => a - b), seeds };
}

function planRun(settings: RunSettings): PlannedRun {
  return { settings, name: nameOf(settings) };
}

/** Gives the bare model one fixed combination of settings: it has none of its own. */
function meaningful(settings: GroupSettings): GroupSettings {
  if (settings.method !== 'none') return settings;
  return { method: 'none', sites: null, length: 0, mlp: 0, init: 'random', examples: null, share: 1 };
}

function nameOf(settings: GroupSettings & { readonly lr: number | 'best'; readonly seed: number }): string {
  const { method, sites, length, mlp, init, lr, examples, share, seed } = settings;
  if (method === 'none') return method;
  const amount = examples !== null ? `${examples}-examples` : share < 1 ? `share-${share}` : 'all';
  const at = sites === null ? '' : `-${sites.replaceAll(',', '_')}`;
  return `${method}${at}-${length}-mlp-${mlp}-${fileName(init)}-lr-${lr}-${amount}-seed-${seed}`;
}

/** Words as part of a file name, with a hash if characters were changed or cut off. */
function fileName(words: string): string {
  const plain = words
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .slice(0, 32);
  return plain === words ? words : `${plain}_${createHash('sha256').update(words).digest('hex').slice(0, 8)}`;
}
