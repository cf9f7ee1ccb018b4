import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists, syncDirectory, writeDurably } from '../../disk/durable.js';
import { decodeFloats, encodeSafetensors, parseSafetensors } from '../../safetensors/index.js';
import type { Moments } from './adamw.js';
import { TuningError } from '../errors.js';
import type { ParameterName } from '../method.js';
import type { Values } from './values.js';

/** The best validation so far. */
export interface Best {
  readonly step: number;
  /** Mean per learned token, in nats. */
  readonly loss: number;
  readonly values: Values;
}

/** Everything that a run needs to go on after `step` steps. */
export interface TrainingState {
  readonly step: number;
  readonly values: Values;
  readonly moments: Moments;
  readonly best: Best | undefined;
  /** Validations since the best one. */
  readonly worse: number;
  /** Seconds of training so far, earlier processes included. */
  readonly seconds: number;
}

const NAME = /^checkpoint-(\d+)$/;
const DRAFT = '.checkpoint-draft';
const REMOVED = '.checkpoint-removed';
const TENSORS = 'tensors.safetensors';
const STATE = 'state.json';

/** The checkpoints of a run, in its output directory; the last one is kept. */
export class TrainingCheckpoints {
  /** @param run a hash of everything that decides the run's result */
  constructor(
    private readonly directory: string,
    private readonly run: string,
  ) {}

  /** Saves a checkpoint, which appears by one rename: after a crash there is this one or the one before. */
  async save({ step, values, moments, best, worse, seconds }: TrainingState): Promise<void> {
    const draft = path.join(this.directory, DRAFT);
    await fs.rm(draft, { recursive: true, force: true });
    await fs.mkdir(draft, { recursive: true });
    const groups = {
      value: values,
      first: moments.first,
      second: moments.second,
      best: best?.values ?? new Map<never, never>(),
    };
    const tensors = Object.entries(groups).flatMap(([group, of]) =>
      [...of].map(([name, data]) => [`${group}.${name}`, { shape: [data.length], data }] as const),
    );
    await writeDurably(path.join(draft, TENSORS), encodeSafetensors(Object.fromEntries(tensors)));
    const state = { run: this.run, step, worse, seconds, best: best && { step: best.step, loss: best.loss } };
    await writeDurably(path.join(draft, STATE), `${JSON.stringify(state)}\n`);
    const target = path.join(this.directory, `checkpoint-${step}`);
    await this.#drop(target);
    await fs.rename(draft, target);
    await syncDirectory(this.directory);
    await this.#removeBefore(step);
  }

  /** The last checkpoint; undefined when there is none. Throws `TuningError` when it is another run's. */
  async load(): Promise<TrainingState | undefined> {
    const last = Math.max(-1, ...(await this.#steps()));
    if (last < 0) return undefined;
    const directory = path.join(this.directory, `checkpoint-${last}`);
    const state = JSON.parse(await fs.readFile(path.join(directory, STATE), 'utf8')) as StateFile;
    if (state.run !== this.run) {
      throw new TuningError(
        'out',
        `${directory} belongs to a run with other settings, data or model; remove it or choose another directory`,
      );
    }
    const group = groupsOf(await fs.readFile(path.join(directory, TENSORS)));
    return {
      step: state.step,
      values: group('value'),
      moments: { first: group('first'), second: group('second') },
      best: state.best && { ...state.best, values: group('best') },
      worse: state.worse,
      seconds: state.seconds,
    };
  }

  /** Removes all checkpoints, once the run has ended. */
  async remove(): Promise<void> {
    await this.#removeBefore(Infinity);
    for (const left of [DRAFT, REMOVED]) await fs.rm(path.join(this.directory, left), { recursive: true, force: true });
  }

  async #removeBefore(step: number): Promise<void> {
    for (const old of await this.#steps()) {
      if (old < step) await this.#drop(path.join(this.directory, `checkpoint-${old}`));
    }
  }

  /** Under another name first: after a crash, half of a checkpoint would be taken for one. */
  async #drop(checkpoint: string): Promise<void> {
    const removed = path.join(this.directory, REMOVED);
    await fs.rm(removed, { recursive: true, force: true });
    await ifExists(fs.rename(checkpoint, removed));
    await fs.rm(removed, { recursive: true, force: true });
  }

  async #steps(): Promise<number[]> {
    const entries = (await ifExists(fs.readdir(this.directory))) ?? [];
    return entries.flatMap((entry) => NAME.exec(entry)?.[1] ?? []).map(Number);
  }
}

interface StateFile {
  readonly run: string;
  readonly step: number;
  readonly worse: number;
  readonly seconds: number;
  readonly best?: { readonly step: number; readonly loss: number };
}

function groupsOf(file: Uint8Array): (group: string) => Values {
  const { tensors } = parseSafetensors(file);
  return (group) =>
    new Map(
      [...tensors]
        .filter(([name]) => name.startsWith(`${group}.`))
        .map(([name, { dtype, begin, end }]) => [
          name.slice(group.length + 1) as ParameterName,
          decodeFloats(file.subarray(begin, end), dtype).slice(),
        ]),
    );
}
