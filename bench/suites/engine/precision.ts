import { bundledModel } from '#src/config/paths.js';
import { int8Form } from '#src/config/processor.js';
import { Engine } from '#src/engine/engine.js';
import { type Model, openModel } from '#src/model/model.js';
import type { Int8Form, KvPrecision, WeightPrecision } from '#src/model/precision.js';
import { loadTokenizer } from '#src/tokenizer/load-tokenizer.js';
import { type Entry, type Measurement, measureRounds, type Rounds } from '../../contenders/contender.js';
import { type Options, threadsOf } from '../../options.js';
import { heldOutTexts, type Opinion, opinionOn, outputChange } from './output-change.js';
import { ratios } from '../../report/statistics.js';
import type { BenchContext, Finding, Goal, Suite } from '../../suite.js';
import { engineTarget } from '../../load/targets.js';
import { PREFIX_COLUMNS, randomPrefix, userName, workload } from '../../load/workload.js';

interface Variant {
  readonly weights: WeightPrecision;
  readonly kv: KvPrecision;
  readonly int8?: Int8Form;
}

const INT8: Variant = { weights: 'int8', kv: 'float32', int8: int8Form() };
/** Precisions to compare; the first one is the reference. */
const VARIANTS: readonly Variant[] = [
  { weights: 'float32', kv: 'float32' },
  { weights: 'float32', kv: 'float16' },
  INT8,
  ...(INT8.int8 === 'blocks' ? [] : [{ ...INT8, int8: 'blocks' } as const]),
  { weights: 'int4', kv: 'float32' },
];
/** A prompt that is computed alone, in chunks of the server's size. */
const PROMPT = { tokens: 512, chunk: 64 } as const;
const PROMPT_SUFFIX = `, a prompt of ${PROMPT.tokens}`;
/** Goals for int8 over float32: decoding, by rows; a prompt; and its loss on held-out text. */
const DECODE_GOALS: Readonly<Record<number, Goal>> = {
  1: { id: 'P30', atLeast: 2.5 },
  8: { id: 'P30', atLeast: 1.75 },
  32: { id: 'P30', atLeast: 1.4 },
};
const PROMPT_GOAL: Goal = { id: 'P31', atLeast: 1.4 };
const LOSS_GOAL: Goal = { id: 'P32', atMost: 1.005 };

/** Gain of PREAMBLE_WEIGHTS and PREAMBLE_KV in speed, and change of the output. */
export const precision: Suite = {
  name: 'precision',
  question: 'What do weights of 8 and 4 bits and keys and values of 16 gain, and how much do they change the output?',
  async run(context) {
    const changes = await measureChanges(context);
    return [...(await measureSpeed(context)), ...changes];
  },
};

async function measureSpeed(context: BenchContext): Promise<Finding[]> {
  const { options, log } = context;
  const models: Model[] = [];
  try {
    const entries: Entry[] = [];
    for (const variant of VARIANTS) {
      const model = await open(variant, context);
      models.push(model);
      entries.push(...(await contenders(nameOf(variant), model, options)));
    }
    const onRound = async (rounds: Rounds): Promise<void> => context.keep(speedFindings(entries, rounds));
    return speedFindings(entries, await measureRounds(entries, options, { log, onRound }));
  } finally {
    for (const model of models) await model.dispose();
  }
}

function open(variant: Variant, { options, checkpoint: source, cache }: BenchContext): Promise<Model> {
  return openModel({
    source,
    cache,
    slots: Math.max(...options.rows),
    threads: threadsOf(options),
    int8: int8Form(),
    ...variant,
  });
}

/** Contenders for decode rows and for a prompt. They share the model and do not dispose it. */
async function contenders(name: string, model: Model, options: Options): Promise<Entry[]> {
  const tokenizer = await loadTokenizer(model.tokenizerDirectory);
  const engine = new Engine({ runner: model.runner, tokenizer, eosTokenIds: model.eosTokenIds });
  const users = Array.from({ length: Math.max(...options.rows) }, (_, row) => userName(row));
  const prefixes = new Map(users.map((user) => [user, randomPrefix(user, PREFIX_COLUMNS)]));
  const generate = engineTarget(engine, prefixes);
  const measure = (rows: number): Promise<Measurement> => generate(workload(rows, options.context, options.tokens));
  const close = (): Promise<void> => Promise.resolve();
  const prompt = async (): Promise<Measurement> => ({ decode: await promptSpeed(model) });
  const first = options.rows.slice(0, 1);
  return [
    { contender: { name, measure, close }, rows: options.rows },
    { contender: { name: `${name}${PROMPT_SUFFIX}`, measure: prompt, close }, rows: first },
  ];
}

/** Tokens per second of one prompt on an idle machine. */
async function promptSpeed({ runner }: Model): Promise<number> {
  const start = performance.now();
  for (let past = 0; past < PROMPT.tokens; past += PROMPT.chunk) {
    const tokens = Array.from({ length: PROMPT.chunk }, (_, i) => (past + i) * 7);
    await runner.step({ rows: [{ slot: 0, tokens, past, logits: 'none', temperature: 1 }], topK: 1 });
  }
  return (1000 * PROMPT.tokens) / (performance.now() - start);
}

function speedFindings(entries: readonly Entry[], rounds: Rounds): Finding[] {
  const base = nameOf(VARIANTS[0] as Variant);
  return entries.flatMap(({ contender: { name }, rows }) =>
    rows.flatMap((count): Finding[] => {
      const reference = name.endsWith(PROMPT_SUFFIX) ? `${base}${PROMPT_SUFFIX}` : base;
      const rates = (of: string): number[] => rounds.of(of, count).map(({ decode }) => decode);
      const at = { rows: count };
      const rate: Finding = { what: name, at, unit: 'tok/s', values: rates(name) };
      if (name === reference) return [rate];
      const goal = goalOf(name, count);
      const ratio: Finding = {
        what: `${name} over ${base}`,
        at,
        unit: 'x',
        values: ratios(rates(name), rates(reference)),
      };
      return [rate, { ...ratio, ...(goal && { goal }) }];
    }),
  );
}

function goalOf(name: string, rows: number): Goal | undefined {
  const int8 = nameOf(INT8);
  if (name === `${int8}${PROMPT_SUFFIX}`) return PROMPT_GOAL;
  return name === int8 ? DECODE_GOALS[rows] : undefined;
}

/** Measures changes on the bundled model and held-out text: the output of a random model is not worth comparing. */
async function measureChanges(context: BenchContext): Promise<Finding[]> {
  const { options, cache } = context;
  const threads = threadsOf(options);
  const findings: Finding[] = [];
  let reference: Opinion | undefined;
  let referenceLoss = NaN;
  for (const variant of VARIANTS) {
    const model = await openModel({ source: bundledModel, cache, slots: 1, threads, ...variant });
    try {
      const opinion = await opinionOn(model.runner, await heldOutTexts(model), reference?.best);
      const { mean, largest, agreement, loss } = outputChange(opinion, (reference ??= opinion));
      const what = nameOf(variant);
      context.log(`${what}: ${opinion.best.length} places, same likeliest token at ${(100 * agreement).toFixed(2)} %`);
      findings.push({ what: `${what}: loss on held-out text`, unit: 'nats', values: [loss] });
      if (opinion === reference) {
        referenceLoss = loss;
        continue;
      }
      const lossRatio: Finding = { what: `${what}: loss over float32`, unit: 'x', values: [loss / referenceLoss] };
      findings.push(
        variant === INT8 ? { ...lossRatio, goal: LOSS_GOAL } : lossRatio,
        { what: `${what}: change of a log-probability, mean`, unit: 'nats', values: [mean] },
        { what: `${what}: change of a log-probability, largest`, unit: 'nats', values: [largest] },
        { what: `${what}: same likeliest token`, unit: 'x', values: [agreement] },
      );
    } finally {
      await model.dispose();
    }
  }
  return findings;
}

function nameOf({ weights, kv, int8 }: Variant): string {
  const form = int8 === 'blocks' && INT8.int8 !== 'blocks' ? `${weights} in blocks` : weights;
  return kv === 'float32' ? form : `${form}, KV ${kv}`;
}
