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

export type Axis = keyof RunSettings;

/** A run, and the directory that its settings name. */
export interface PlannedRun {
  readonly name: string;
  readonly settings: RunSettings;
}

export interface PlannedPart {
  readonly title: string;
  readonly runs: readonly PlannedRun[];
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

/** The runs of each part of a study: the product of its axes, without what is the same run twice. */
export function planParts({ parts }: StudySpec): PlannedPart[] {
  return parts.map(({ title, axes }) => ({ title, runs: distinct(product(axes).map(planRun)) }));
}

/** All runs, each once. */
export function runsOf(parts: readonly PlannedPart[]): PlannedRun[] {
  return distinct(parts.flatMap(({ runs }) => runs));
}

function product(axes: StudyAxes): RunSettings[] {
  let all: RunSettings[] = [DEFAULTS];
  for (const axis of Object.keys(DEFAULTS) as Axis[]) {
    const values = axes[axis];
    if (values) all = all.flatMap((settings) => values.map((value) => ({ ...settings, [axis]: value })));
  }
  return all;
}

function planRun(given: RunSettings): PlannedRun {
  const settings = meaningful(given);
  return { settings, name: nameOf(settings) };
}

/** Settings that a method does not have take the value that they have in fact. */
function meaningful(settings: RunSettings): RunSettings {
  if (settings.method === 'none') return { ...DEFAULTS, method: 'none', length: 0, mlp: 0 };
  return settings.method === 'embedding' ? { ...settings, mlp: 0 } : settings;
}

function nameOf({ method, length, mlp, init, lr, examples, share, seed }: RunSettings): string {
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

function distinct(runs: readonly PlannedRun[]): PlannedRun[] {
  return [...new Map(runs.map((run) => [run.name, run])).values()];
}
