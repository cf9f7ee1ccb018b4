import path from 'node:path';

import type { TrainingExample } from '../tuning/data/example.js';
import type { DataSubject } from '../tuning/errors.js';
import { RandomStream } from '../tuning/start/random-stream.js';
import { type DataFormat, type DataOptions, readExamples } from '../tuning/data/read-examples.js';
import { SpecError } from './errors.js';
import type { PlannedRun } from './plan.js';
import type { StudySpec } from './spec.js';

type Examples = readonly TrainingExample[];

/** The data of a study after splitting. */
export interface StudyData {
  readonly train: Examples;
  readonly valid: Examples | undefined;
  readonly test: Examples | undefined;
  /**
   * Categories of the test data that are not in the training data. Where the training data has no categories: those
   * that the spec names.
   */
  readonly unseen: readonly string[];
}

/** Numbers of random streams that training does not use. */
const [SUBSET, HELD_BACK, SOURCES] = [2 ** 32 - 1, 2 ** 32 - 2, 2 ** 32 - 3];
/** Seed of draws that are the same in every run. */
const FIXED_SEED = 1;

/**
 * Reads and splits a study's data. Examples of unseen categories are used neither for training nor for validation. A
 * source that is held back for validation is held back with all its examples.
 * @param directory that file names in the spec are relative to
 * @param form how the model's examples are written
 * @throws SpecError for a field of the spec that does not fit the data
 * @throws TuningError naming file, line and field of the data
 */
export async function readStudyData(
  spec: StudySpec,
  directory: string,
  form: Pick<DataOptions, 'separator' | 'conversation'>,
): Promise<StudyData> {
  const { data } = spec;
  const format: DataFormat | undefined = data.format;
  const read = (file: string, subject: DataSubject): Promise<TrainingExample[]> =>
    readExamples(path.resolve(directory, file), { subject, format, ...form });
  const test = data.test === undefined ? undefined : await read(data.test, 'data');
  refuseUnknownCategories(data.unseen ?? [], test);
  const seen = (examples: Examples): TrainingExample[] =>
    examples.filter(({ category }) => !data.unseen?.includes(category ?? ''));
  const all = seen(await read(data.train, 'train'));
  const [train, valid] =
    typeof data.valid === 'string' ? [all, seen(await read(data.valid, 'valid'))] : holdBack(all, data.valid);
  if (train.length === 0) throw new SpecError('data.train: no example is left to train on');
  const trained = new Set(train.flatMap(({ category }) => category ?? []));
  const isUnseen = (category: string): boolean =>
    trained.size > 0 ? !trained.has(category) : data.unseen?.includes(category) === true;
  const categories = new Set(test?.flatMap(({ category }) => category ?? []));
  return {
    train,
    valid: valid && drawSources(valid, data.valid_sources),
    test: test && drawSources(test, data.test_sources),
    unseen: [...categories].filter(isUnseen).sort(),
  };
}

/** The test data, split by whether its category was trained on. */
export function splitTest({ test = [], unseen }: Pick<StudyData, 'test' | 'unseen'>): {
  seen: Examples;
  unseen: Examples;
} {
  const isUnseen = ({ category }: TrainingExample): boolean => unseen.includes(category ?? '');
  return { seen: test.filter((example) => !isUnseen(example)), unseen: test.filter(isUnseen) };
}

/** Draws the training examples of a run. With the same seed, a smaller draw is a subset of a larger one. */
export function drawExamples(train: Examples, { examples, share, seed }: PlannedRun['settings']): Examples {
  const count = examples ?? Math.max(1, Math.round(share * train.length));
  if (count === train.length) return train;
  const order = new RandomStream(seed, SUBSET).permutation(train.length).slice(0, count);
  return order.map((index) => train[index] as TrainingExample);
}

/** Number of sources that occur in both. Test sources that were trained on make a loss look better than it is. */
export function sharedSources(train: Examples, other: Examples): number {
  const trained = new Set(train.map(sourceKey));
  return sourcesOf(other).filter((source) => trained.has(source)).length;
}

/** Keys of the different sources. */
export function sourcesOf(examples: Examples): string[] {
  return [...new Set(examples.map(sourceKey))];
}

function refuseUnknownCategories(unseen: readonly string[], test: Examples | undefined): void {
  const missing = unseen.find((category) => !test?.some((example) => example.category === category));
  if (missing !== undefined) throw new SpecError(`data.unseen: data.test has no example of category ${missing}`);
}

function holdBack(all: Examples, share: number | undefined): [Examples, Examples | undefined] {
  if (share === undefined) return [all, undefined];
  const sources = sourcesOf(all);
  const count = Math.round(share * sources.length);
  if (count === 0 || count === sources.length) {
    throw new SpecError(
      `data.valid: ${share} of ${sources.length} sources leaves nothing to train on or to validate with`,
    );
  }
  const held = draw(sources, count, HELD_BACK);
  return [all.filter((one) => !held.has(sourceKey(one))), all.filter((one) => held.has(sourceKey(one)))];
}

function drawSources(examples: Examples, count: number | undefined): Examples {
  if (count === undefined) return examples;
  const drawn = draw(sourcesOf(examples), count, SOURCES);
  return examples.filter((one) => drawn.has(sourceKey(one)));
}

function draw(sources: readonly string[], count: number, stream: number): Set<string> {
  const order = new RandomStream(FIXED_SEED, stream).permutation(sources.length).slice(0, count);
  return new Set(order.map((index) => sources[index] as string));
}

function sourceKey({ source }: TrainingExample): string {
  return JSON.stringify(source);
}
