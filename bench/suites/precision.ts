import { bundledModel, defaultConfig } from '#src/config.js';
import { Engine } from '#src/engine/engine.js';
import { type Model, openModel } from '#src/model/model.js';
import type { KvPrecision, WeightPrecision } from '#src/model/precision.js';
import { Tokenizer } from '#src/tokenizer/tokenizer.js';
import { heldOutTexts, type Opinion, opinionOn, outputChange } from '../output-change.js';
import type { BenchContext, Finding, Suite } from '../suite.js';
import { engineTarget, type Target } from '../targets.js';
import { randomPrefix, userName, workload } from '../workload.js';

interface Variant {
  readonly weights: WeightPrecision;
  readonly kv: KvPrecision;
}

/** The first one is what the others are compared with. */
const VARIANTS: readonly Variant[] = [
  { weights: 'float32', kv: 'float32' },
  { weights: 'float32', kv: 'float16' },
  { weights: 'int8', kv: 'float32' },
  { weights: 'int4', kv: 'float32' },
];
/** A prompt that is computed alone, in chunks of the server's size. */
const PROMPT = { tokens: 512, chunk: 64 } as const;

/** What PREAMBLE_WEIGHTS and PREAMBLE_KV gain, and what they change. */
export const precision: Suite = {
  name: 'precision',
  question: 'What do weights of 8 and 4 bits and keys and values of 16 gain, and how much do they change the output?',
  async run(context) {
    const changes = await measureChanges(context);
    return [...(await measureSpeed(context)), ...changes];
  },
};

interface Contender {
  readonly variant: Variant;
  readonly model: Model;
  readonly generate: Target;
}

/** What is timed: so many rows that decode, or a prompt. */
type Load = number | 'prompt';

/** Tokens per second, one for each round. */
class Rates {
  readonly #values = new Map<string, number[]>();

  add(variant: Variant, load: Load, value: number): void {
    this.#values.set(`${load} ${nameOf(variant)}`, [...this.of(variant, load), value]);
  }

  of(variant: Variant, load: Load): readonly number[] {
    return this.#values.get(`${load} ${nameOf(variant)}`) ?? [];
  }
}

/** All are open at once and take turns, so that a slow minute of the machine hits them alike. Round 0 warms up. */
async function measureSpeed(context: BenchContext): Promise<Finding[]> {
  const { options } = context;
  const loads: readonly Load[] = [...options.rows, 'prompt'];
  const contenders: Contender[] = [];
  const rates = new Rates();
  try {
    for (const variant of VARIANTS) contenders.push(await open(variant, context));
    for (let round = 0; round <= options.repeats; round++) {
      for (const load of loads) {
        for (const contender of round % 2 ? [...contenders].reverse() : contenders) {
          const { variant } = contender;
          const value = await rateOf(contender, load, context);
          const what = `${JSON.stringify(placeOf(load))}  ${nameOf(variant)}  ${value.toFixed(1)} tok/s`;
          context.log(`${round === 0 ? 'warm-up' : `round ${round}`}  ${what}`);
          if (round > 0) rates.add(variant, load, value);
        }
      }
    }
    return loads.flatMap((load) => speedFindings(rates, load));
  } finally {
    for (const { model } of contenders) await model.dispose();
  }
}

async function rateOf(contender: Contender, load: Load, { options }: BenchContext): Promise<number> {
  if (load === 'prompt') return promptSpeed(contender.model);
  return (await contender.generate(workload(load, options.context, options.tokens))).decode;
}

async function open(variant: Variant, { options, checkpoint: source, cache }: BenchContext): Promise<Contender> {
  const slots = Math.max(...options.rows);
  const threads = options.threads ?? defaultConfig().threads;
  const model = await openModel({ source, cache, slots, threads, ...variant });
  const tokenizer = await Tokenizer.load(model.tokenizerDirectory);
  const engine = new Engine({ runner: model.runner, tokenizer, eosTokenIds: model.eosTokenIds });
  const columns = model.base.layers * 2 * model.base.width;
  const users = Array.from({ length: slots }, (_, row) => userName(row));
  const prefixes = new Map(users.map((user) => [user, randomPrefix(user, columns)]));
  return { variant, model, generate: engineTarget(engine, prefixes) };
}

/** Tokens per second of one prompt that has the machine to itself. */
async function promptSpeed({ runner }: Model): Promise<number> {
  const start = performance.now();
  for (let past = 0; past < PROMPT.tokens; past += PROMPT.chunk) {
    const tokens = Array.from({ length: PROMPT.chunk }, (_, i) => (past + i) * 7);
    await runner.step({ decode: [], chunk: { slot: 0, tokens, past, logits: 'none', temperature: 1 }, topK: 1 });
  }
  return (1000 * PROMPT.tokens) / (performance.now() - start);
}

function speedFindings(rates: Rates, load: Load): Finding[] {
  const at = placeOf(load);
  const [base, ...others] = VARIANTS as [Variant, ...Variant[]];
  const baseValues = rates.of(base, load);
  return [
    { what: nameOf(base), at, unit: 'tok/s', values: baseValues },
    ...others.flatMap((variant): Finding[] => {
      const values = rates.of(variant, load);
      const ratios = values.map((value, round) => value / (baseValues[round] ?? NaN));
      const what = nameOf(variant);
      return [
        { what, at, unit: 'tok/s', values },
        { what: `${what} over ${nameOf(base)}`, at, unit: 'x', values: ratios },
      ];
    }),
  ];
}

function placeOf(load: Load): Record<string, number | string> {
  return load === 'prompt' ? { prompt: PROMPT.tokens } : { rows: load };
}

/** On the bundled model and text of its own world: a random model has no opinion worth comparing. */
async function measureChanges(context: BenchContext): Promise<Finding[]> {
  const { options, cache } = context;
  const threads = options.threads ?? defaultConfig().threads;
  const findings: Finding[] = [];
  let reference: Opinion | undefined;
  for (const variant of VARIANTS) {
    const model = await openModel({ source: bundledModel, cache, slots: 1, threads, ...variant });
    try {
      const opinion = await opinionOn(model.runner, await heldOutTexts(model), reference?.best);
      const { mean, largest, agreement, loss } = outputChange(opinion, (reference ??= opinion));
      const what = nameOf(variant);
      context.log(`${what}: ${opinion.best.length} places, same likeliest token at ${(100 * agreement).toFixed(2)} %`);
      findings.push({ what: `${what}: loss on held-out text`, unit: 'nats', values: [loss] });
      if (opinion === reference) continue;
      findings.push(
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

function nameOf({ weights, kv }: Variant): string {
  return kv === 'float32' ? weights : `${weights}, KV ${kv}`;
}
