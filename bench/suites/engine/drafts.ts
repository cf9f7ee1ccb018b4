import path from 'node:path';

import { bundledModel, bundledPrefixes } from '#src/config/paths.js';
import type { DraftedSequence, Drafter, DraftToken } from '#src/engine/drafting/drafter.js';
import { Drafting } from '#src/engine/drafting/drafting.js';
import { NgramDrafter } from '#src/engine/drafting/ngram-drafter.js';
import { Engine } from '#src/engine/engine.js';
import type { GenerationRequest, RequestPrefix } from '#src/engine/request.js';
import { type Model, openModel } from '#src/model/model.js';
import { checkAdapter } from '#src/prefix/adapter/check.js';
import { readAdapterDirectory } from '#src/prefix/adapter/directory.js';
import { loadTokenizer } from '#src/tokenizer/load-tokenizer.js';
import type { ModelTokenizer } from '#src/tokenizer/token-encoder.js';
import { uniform } from '../../inputs/random-model.js';
import { tableRequest } from '../../load/table-requests.js';
import { randomPrompt } from '../../load/workload.js';
import { threadsOf } from '../../options.js';
import type { BenchContext, Finding, Goal, Suite } from '../../suite.js';

/** Answers that a prefix has given before it is measured. */
const ANSWERS_BEFORE = 200;
/** Answers of each user in a round, and at least so many of all. */
const ANSWERS_PER_USER = 4;
const LEAST_ANSWERS = 40;
const TABLE_BYTES = 2 ** 26;
/** Most slots that a measurement uses. */
const SLOTS = 32;
/** Part of single tokens that were right where texts that people wrote were drafted: drafts of 4 then give 1.95 tokens a step. */
const HUMAN_ACCEPTANCE = 0.505;
const REPLAYED_TOKENS = 96;

/** One comparison: the same requests with drafts and without. */
interface Case {
  readonly texts: 'tables' | 'texts that do not repeat';
  readonly users: number;
  readonly temperature: number;
  readonly goal?: Goal;
}

const REPEATING: readonly Case[] = [
  { texts: 'tables', users: 1, temperature: 0, goal: { id: 'P23', atLeast: 2.2 } },
  { texts: 'tables', users: 2, temperature: 0, goal: { id: 'P23', atLeast: 1.8 } },
  { texts: 'tables', users: 4, temperature: 0, goal: { id: 'P23', atLeast: 1.35 } },
  { texts: 'tables', users: 8, temperature: 0, goal: { id: 'P23', atLeast: 1.1 } },
  { texts: 'tables', users: 32, temperature: 0, goal: { id: 'P25', atLeast: 0.98 } },
  { texts: 'tables', users: 1, temperature: 0.7, goal: { id: 'P24', atLeast: 1.5 } },
];
const NOT_REPEATING: readonly Case[] = [1, 4, 32].map((users) => {
  return { texts: 'texts that do not repeat', users, temperature: 1.5, goal: { id: 'P25', atLeast: 0.98 } };
});

/** Gain of drafts from what a prefix has said before, and what they cost where they gain nothing. */
export const drafts: Suite = {
  name: 'drafts',
  question: `How many tokens a second are generated with drafts, over those without, once a prefix has given ${ANSWERS_BEFORE} answers?`,
  async run(context) {
    const bundled = await withModel(context, bundledModel, (model) => measureBundled(model, context));
    await context.keep(bundled);
    return [...bundled, ...(await withModel(context, context.checkpoint, (model) => measureReplay(model, context)))];
  },
};

async function withModel<T>(
  { cache, options }: BenchContext,
  source: string,
  measure: (model: Model) => Promise<T>,
): Promise<T> {
  const model = await openModel({ source, cache, slots: SLOTS, threads: threadsOf(options) });
  try {
    return await measure(model);
  } finally {
    await model.dispose();
  }
}

async function measureBundled(model: Model, { options, log }: BenchContext): Promise<Finding[]> {
  const tokenizer = await loadTokenizer(model.tokenizerDirectory);
  const prefix = await tableToText(model);
  const findings: Finding[] = [];
  for (const one of [...REPEATING, ...NOT_REPEATING]) {
    const request = requestsOf(one, tokenizer, prefix);
    const engines = enginesOf(model, tokenizer, new NgramDrafter(TABLE_BYTES));
    await generate(engines.on, one.users, take(request, 0, ANSWERS_BEFORE));
    await generate(engines.off, one.users, take(request, 0, LEAST_ANSWERS));
    const answers = Math.max(LEAST_ANSWERS, ANSWERS_PER_USER * one.users);
    const rounds: Round[] = [];
    for (let repeat = 0; repeat < options.repeats; repeat++) {
      const requests = take(request, ANSWERS_BEFORE + repeat * answers, answers);
      rounds.push(await takeTurns(engines, one.users, requests, repeat));
    }
    findings.push(...toFindings(one, rounds));
    log(`${describe(one)}  ${rounds.map(({ on, off }) => `${(on / off).toFixed(2)}x`).join(', ')}`);
  }
  return findings;
}

/** Both engines, on one runner: they are not used at the same time. */
interface Engines {
  readonly on: Engine;
  readonly off: Engine;
}

/** Tokens a second. */
interface Round {
  readonly on: number;
  readonly off: number;
}

function enginesOf({ runner, eosTokenIds }: Model, tokenizer: ModelTokenizer, drafter: Drafter): Engines {
  const parts = { runner, tokenizer, eosTokenIds, limits: { maxLoneChunkTokens: 64 } };
  return { on: new Engine({ ...parts, drafting: new Drafting(drafter, runner) }), off: new Engine(parts) };
}

async function takeTurns(
  { on, off }: Engines,
  users: number,
  requests: readonly GenerationRequest[],
  round: number,
): Promise<Round> {
  const first = await generate(round % 2 === 0 ? off : on, users, requests);
  const second = await generate(round % 2 === 0 ? on : off, users, requests);
  return round % 2 === 0 ? { on: second, off: first } : { on: first, off: second };
}

/** Tokens a second of users who each send their next request when the last one is answered. */
async function generate(engine: Engine, users: number, requests: readonly GenerationRequest[]): Promise<number> {
  const waiting = [...requests];
  const start = performance.now();
  let tokens = 0;
  await Promise.all(
    Array.from({ length: users }, async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        for await (const { type } of engine.submit(next)) if (type === 'token') tokens++;
      }
    }),
  );
  return (1000 * tokens) / (performance.now() - start);
}

function requestsOf(
  { texts, temperature }: Case,
  tokenizer: ModelTokenizer,
  prefix: RequestPrefix,
): (index: number) => GenerationRequest {
  const isTable = texts === 'tables';
  return (index) => ({
    ...plainRequest(tokenizer.encode(isTable ? tableRequest(index) : `About ${index}\n`)),
    ...(isTable && { prefix }),
    sampling: { temperature, topP: 1, topK: 0, seed: index },
    maxTokens: isTable ? 80 : 64,
    ignoreEos: !isTable,
  });
}

function plainRequest(prompt: readonly number[]): GenerationRequest {
  return {
    tenant: 'tenant',
    prompt,
    sampling: { temperature: 0, topP: 1, topK: 0, seed: undefined },
    choice: 0,
    maxTokens: REPLAYED_TOKENS,
    minTokens: 0,
    stop: [],
    stopTokenIds: [],
    ignoreEos: true,
    logprobs: undefined,
  };
}

function take(request: (index: number) => GenerationRequest, from: number, count: number): GenerationRequest[] {
  return Array.from({ length: count }, (_, i) => request(from + i));
}

async function tableToText({ base, encoder }: Model): Promise<RequestPrefix> {
  const files = await readAdapterDirectory(path.join(bundledPrefixes, 'table-to-text'));
  const adapter = checkAdapter(files, base, { maxLength: base.contextLength });
  return { kv: await adapter.toKv(encoder), placement: 'prefix', version: 'table-to-text' };
}

/** Guesses right as often as texts of people were: it knows what comes, and says something else by chance. */
class ReplayDrafter implements Drafter {
  readonly bytes = 0;

  constructor(
    private readonly known: ReadonlyMap<readonly number[], readonly number[]>,
    private readonly vocabularySize: number,
  ) {}

  draft({ request, tokens }: DraftedSequence, maxTokens: number): DraftToken[] {
    const at = tokens.length - request.prompt.length;
    const next = uniform(`replay/${request.prompt.join()}/${at}`);
    return (this.known.get(request.prompt) ?? []).slice(at, at + maxTokens).map((id) => {
      const isRight = (next() + 1) / 2 < HUMAN_ACCEPTANCE;
      return { id: isRight ? id : (id + 1) % this.vocabularySize, probability: HUMAN_ACCEPTANCE };
    });
  }

  learn(): void {
    // It knows all.
  }
}

async function measureReplay(model: Model, { options, log }: BenchContext): Promise<Finding[]> {
  const tokenizer = await loadTokenizer(model.tokenizerDirectory);
  const known = new Map<readonly number[], readonly number[]>();
  const engines = enginesOf(model, tokenizer, new ReplayDrafter(known, model.base.vocabularySize));
  const rounds: Round[] = [];
  for (let repeat = 0; repeat <= options.repeats; repeat++) {
    const prompt = randomPrompt(repeat, options.context - REPLAYED_TOKENS / 2);
    const ids: number[] = [];
    for await (const event of engines.off.submit(plainRequest(prompt))) if (event.type === 'token') ids.push(event.id);
    known.set(prompt, ids);
    const round = await takeTurns(engines, 1, [plainRequest(prompt)], repeat);
    if (repeat > 0) rounds.push(round);
  }
  log(`124M, replayed  ${rounds.map(({ on, off }) => `${(on / off).toFixed(2)}x`).join(', ')}`);
  const at = { texts: '124M, as texts of people', users: 1, temperature: 0 };
  return ratiosOf(at, rounds, { id: 'P26', atLeast: 1.4 });
}

function toFindings({ texts, users, temperature, goal }: Case, rounds: readonly Round[]): Finding[] {
  return ratiosOf({ texts, users, temperature }, rounds, goal);
}

function ratiosOf(at: Finding['at'] & object, rounds: readonly Round[], goal: Goal | undefined): Finding[] {
  return [
    { what: 'with drafts', at, unit: 'tok/s', values: rounds.map(({ on }) => on) },
    {
      what: 'with drafts over without',
      at,
      unit: 'x',
      values: rounds.map(({ on, off }) => on / off),
      ...(goal && { goal }),
    },
  ];
}

function describe({ texts, users, temperature }: Case): string {
  return `${texts}, ${users} user${users === 1 ? '' : 's'}, temperature ${temperature}`;
}
