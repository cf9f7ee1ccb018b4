import { type Static, type TSchema, Type } from 'typebox';
import Value from 'typebox/value';

import { SCORE_NAMES } from '../evaluation/scores/names.js';
import { DATA_FORMATS } from '../tuning/data/read-examples.js';
import { TOO_LONG } from '../tuning/data/too-long.js';
import { METHODS } from '../tuning/method.js';
import { LOSS_MEANS } from '../tuning/settings.js';
import { SpecError } from './errors.js';

const strict = { additionalProperties: false } as const;
const whole = (minimum: number) => Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER });
const text = Type.String({ minLength: 1 });
const axis = <T extends TSchema>(value: T) => Type.Optional(Type.Array(value, { minItems: 1, uniqueItems: true }));

/**
 * Values to try for each setting; the runs are their product. A setting that is left out has the default of `preamble
 * tune`.
 */
const axes = Type.Object(
  {
    /** `none`: the bare model. */
    method: axis(Type.Enum(['none', ...METHODS])),
    /** As `--sites`: names separated by commas. */
    sites: axis(Type.String({ pattern: '^[a-z]+(,[a-z]+)*$', maxLength: 64 })),
    length: axis(whole(1)),
    mlp: axis(whole(0)),
    init: axis(text),
    /** Learning rates; tables and plots show the one with the lowest validation loss. */
    lr: axis(Type.Number({ exclusiveMinimum: 0 })),
    /** Numbers of training examples, drawn by the seed. All examples are used if neither this nor `share` is given. */
    examples: axis(whole(1)),
    share: axis(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    /** Seeds of the initial prefix, the order of the examples, and the drawing of examples. */
    seed: axis(whole(0)),
  },
  strict,
);

const data = Type.Object(
  {
    format: Type.Optional(Type.Enum([...DATA_FORMATS])),
    train: text,
    valid: Type.Optional(Type.Union([text, Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 })])),
    test: Type.Optional(text),
    valid_sources: Type.Optional(whole(1)),
    test_sources: Type.Optional(whole(1)),
    /** Categories that are not trained on. */
    unseen: Type.Optional(Type.Array(text, { minItems: 1, uniqueItems: true })),
  },
  strict,
);

const training = Type.Object(
  {
    epochs: Type.Optional(whole(1)),
    max_steps: Type.Optional(whole(0)),
    warmup_steps: Type.Optional(whole(0)),
    batch_size: Type.Optional(whole(1)),
    eval_every: Type.Optional(whole(1)),
    /** Turns early stopping on. */
    patience: Type.Optional(whole(1)),
    checkpoint_every: Type.Optional(whole(1)),
    loss_mean: Type.Optional(Type.Enum([...LOSS_MEANS])),
    /** Of training and validation data. */
    too_long: Type.Optional(Type.Enum([...TOO_LONG])),
  },
  strict,
);

const generation = Type.Object(
  {
    beams: Type.Optional(whole(1)),
    length_penalty: Type.Optional(Type.Number()),
    max_tokens: Type.Optional(whole(1)),
    min_tokens: Type.Optional(whole(0)),
    no_repeat_ngram_size: Type.Optional(whole(0)),
    early_stopping: Type.Optional(Type.Union([Type.Boolean(), Type.Literal('never')])),
    /** Scores to compute and to show; the first is plotted. */
    scores: axis(Type.Enum(SCORE_NAMES)),
  },
  strict,
);

/** Tokens of one text, unless given. */
export const MAX_TOKENS = 100;

const part = Type.Object({ title: text, axes }, strict);

const spec = Type.Object(
  {
    model: Type.Optional(text),
    data,
    parts: Type.Array(part, { minItems: 1 }),
    training: Type.Optional(training),
    /** Turns on generating and scoring texts for the test data; without it only losses are measured. */
    generation: Type.Optional(generation),
  },
  strict,
);

/** The specification of a study; `docs/studies.md` describes each field. */
export type StudySpec = Static<typeof spec>;
/** The axes of one part of a study. */
export type StudyAxes = Static<typeof axes>;

/**
 * Parses a study's specification. Throws `SpecError` naming the field that is unknown, missing or has a bad value.
 */
export function parseSpec(content: string): StudySpec {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new SpecError(`the spec is not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (!Value.Check(spec, value)) throw new SpecError(firstProblem(Value.Errors(spec, value)));
  refuseContradictions(value);
  return value;
}

/** What the fields that are unions may be. */
const UNIONS: Readonly<Record<string, string>> = {
  'data.valid': "a file, or a share of the training data's sources between 0 and 1",
  'generation.early_stopping': 'true, false or "never"',
};

type SchemaError = ReturnType<typeof Value.Errors>[number];

function firstProblem(errors: readonly SchemaError[]): string {
  const unknown = errors.find(({ keyword }) => keyword === 'additionalProperties');
  // Of a union's errors, the branches come first and the union itself comes last.
  const error = unknown ?? errors.find(({ keyword }) => keyword === 'anyOf') ?? errors[0];
  if (error === undefined) return 'the spec is not valid';
  const at = pathOf(error.instancePath);
  const inside = (names: readonly string[]): string =>
    names.map((name) => (at === '' ? name : `${at}.${name}`)).join(', ');
  if (error.keyword === 'additionalProperties') return `${inside(error.params.additionalProperties)}: no such field`;
  if (error.keyword === 'required') return `${inside(error.params.requiredProperties)}: missing`;
  if (error.keyword === 'enum') return `${at}: must be one of ${error.params.allowedValues.join(', ')}`;
  if (error.keyword === 'anyOf') return `${at}: must be ${UNIONS[at] ?? 'of another kind'}`;
  return `${at === '' ? 'the spec' : at}: ${error.message}`;
}

/** Turns a JSON pointer into a path: `/parts/0/axes/lr/1` becomes `parts[0].axes.lr[1]`. */
function pathOf(instancePath: string): string {
  const segments = instancePath.split('/').slice(1);
  return segments
    .map((segment, index) => (/^\d+$/.test(segment) ? `[${segment}]` : index === 0 ? segment : `.${segment}`))
    .join('');
}

function refuseContradictions({ data, parts, training, generation }: StudySpec): void {
  if (data.valid === undefined && data.test === undefined) {
    throw new SpecError('data.valid, data.test: give at least one of them');
  }
  if (training?.patience !== undefined && data.valid === undefined) {
    throw new SpecError('training.patience: early stopping needs data.valid');
  }
  const { min_tokens: least = 0, max_tokens: most = MAX_TOKENS } = generation ?? {};
  if (least > most) throw new SpecError(`generation.min_tokens: more than generation.max_tokens, which is ${most}`);
  parts.forEach(({ axes }, index) => {
    const at = `parts[${index}].axes`;
    if (axes.examples && axes.share) throw new SpecError(`${at}.share: not together with ${at}.examples`);
    if ((axes.lr?.length ?? 0) > 1 && data.valid === undefined) {
      throw new SpecError(`${at}.lr: the best of several is chosen by data.valid, which is missing`);
    }
  });
}
