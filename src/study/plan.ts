import { createHash } from 'node:crypto';

import type { Method } from '../tuning/method.js';
import type { StudyAxes, StudySpec } from './spec.js';

/** The settings that a study varies. For the bare model only `method` says anything. */
export interface RunSettings {
  readonly method: Method | 'none';
  readonly length: number;
  readonly mlp: number;
  readonly init: string;
  readonly lr: number;
  /** Training examples; null: see `share`. */
  readonly examples: number | null;
  readonly share: number;
  readonly seed: number;
}

/** A run, and the directory that its settings name. */
export interface PlannedRun {
  readonly name: string;
  readonly settings: RunSettings;
}

/** Settings without those that are not compared: seeds give the spread, and the best rate is chosen. */
export type GroupSettings = Omit<RunSettings, 'lr' | 'seed'>;

/**
 * The runs of the same settings. Those of the first seed try every rate; the other seeds train with the one that was best in
 * validation.
 */
export interface PlannedGroup {
  readonly settings: GroupSettings;
  readonly rates: readonly number[];
  readonly seeds: readonly number[];
}

export interface PlannedPart {
  readonly title: string;
  readonly groups: readonly PlannedGroup[];
}

/** Those of `preamble tune`; all examples. */
const DEFAULTS: RunSettings = {
  method: 'prefix',
  length: 10,
  mlp: 512,
  init: 'random',
  lr: 5e-5,
  examples: null,
  share: 1,
  seed: 101,
};

/** What each part of a study consists of: the product of its axes, without what is the same twice. */
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

/** The runs of a rate, one for each seed. */
export function seedRuns({ settings, seeds }: PlannedGroup, lr: number): PlannedRun[] {
  return seeds.map((seed) => planRun({ ...settings, lr, seed }));
}

/** The names of all runs that a study may consist of, where the best rate is not known yet. */
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

/** The bare model has no settings. */
function meaningful(settings: GroupSettings): GroupSettings {
  if (settings.method !== 'none') return settings;
  return { method: 'none', length: 0, mlp: 0, init: 'random', examples: null, share: 1 };
}

function nameOf(settings: GroupSettings & { readonly lr: number | 'best'; readonly seed: number }): string {
  const { method, length, mlp, init, lr, examples, share, seed } = settings;
  if (method === 'none') return method;
  const amount = examples !== null ? `${examples}-examples` : share < 1 ? `share-${share}` : 'all';
  return `${method}-${length}-mlp-${mlp}-${fileName(init)}-lr-${lr}-${amount}-seed-${seed}`;
}

/** Words as part of a file's name; a hash tells apart what looks the same. */
function fileName(words: string): string {
  const plain = words
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .slice(0, 32);
  return plain === words ? words : `${plain}_${createHash('sha256').update(words).digest('hex').slice(0, 8)}`;
}
