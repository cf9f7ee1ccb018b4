import { readFileSync } from 'node:fs';

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
/** Of a prompt that is computed alone, in chunks of the server's size. */
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
  /** Memory of the process that opening it added, before the first step. */
  readonly openedMiB: number;
}

/** All are open at once and take turns, so that a slow minute of the machine hits them alike. Round 0 warms up. */
async function measureSpeed(context: BenchContext): Promise<Finding[]> {
  const { options } = context;
  const contenders: Contender[] = [];
  const runs = new Map<string, number[]>();
  const add = (key: string, value: number): unknown => runs.set(key, [...(runs.get(key) ?? []), value]);
  try {
    for (const variant of VARIANTS) contenders.push(await open(variant, context));
    for (let round = 0; round <= options.repeats; round++) {
      for (const contender of round % 2 ? [...contenders].reverse() : contenders) {
        const name = nameOf(contender.variant);
        const prompt = await promptSpeed(contender.model);
        if (round > 0) add(`prompt ${name}`, prompt);
        for (const rows of options.rows) {
          const { decode } = await contender.generate(workload(rows, options.context, options.tokens));
          context.log(
            `${round === 0 ? 'warm-up' : `round ${round}`}  ${rows} rows  ${name}  ${decode.toFixed(1)} tok/s`,
          );
          if (round > 0) add(`${rows} ${name}`, decode);
        }
      }
    }
    return speedFindings(contenders, options.rows, (key) => runs.get(key) ?? []);
  } finally {
    for (const { model } of contenders) await model.dispose();
  }
}

async function open(variant: Variant, { options, checkpoint: source, cache }: BenchContext): Promise<Contender> {
  const before = residentMiB();
  const slots = Math.max(...options.rows);
  const threads = options.threads ?? defaultConfig().threads;
  const model = await openModel({ source, cache, slots, threads, ...variant });
  const openedMiB = residentMiB() - before;
  const tokenizer = await Tokenizer.load(model.tokenizerDirectory);
  const engine = new Engine({ runner: model.runner, tokenizer, eosTokenIds: model.eosTokenIds });
  const columns = model.base.layers * 2 * model.base.width;
  const users = Array.from({ length: slots }, (_, row) => userName(row));
  const prefixes = new Map(users.map((user) => [user, randomPrefix(user, columns)]));
  return { variant, model, generate: engineTarget(engine, prefixes), openedMiB };
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

function speedFindings(
  contenders: readonly Contender[],
  rows: readonly number[],
  valuesOf: (key: string) => readonly number[],
): Finding[] {
  return contenders.flatMap(({ variant, openedMiB }, index): Finding[] => {
    const what = nameOf(variant);
    const measured = [...rows.map((count) => `${count} ${what}`), `prompt ${what}`].map(valuesOf);
    const base = [...rows.map(String), 'prompt'].map((key) => valuesOf(`${key} ${nameOf(VARIANTS[0] as Variant)}`));
    const at = [...rows.map((count) => ({ rows: count })), { rows: 'a prompt' }];
    return [
      ...at.flatMap((place, i): Finding[] => {
        const values = measured[i] ?? [];
        const ratio = values.map((value, round) => value / (base[i]?.[round] ?? NaN));
        const over: Finding = { what: `${what} over float32`, at: place, unit: 'x', values: ratio };
        return [{ what, at: place, unit: 'tok/s', values }, ...(index > 0 ? [over] : [])];
      }),
      { what: `${what}: memory when open`, unit: 'MiB', values: [openedMiB] },
    ];
  });
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

/** Memory of this process that is its own, not a file's: NaN where there is no /proc. */
function residentMiB(): number {
  try {
    const match = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return Number(match?.[1] ?? NaN) / 1024;
  } catch {
    return NaN;
  }
}
