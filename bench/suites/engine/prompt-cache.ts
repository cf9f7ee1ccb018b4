import { Engine } from '#src/engine/engine.js';
import type { GenerationRequest } from '#src/engine/request.js';
import { type Model, openModel } from '#src/model/model.js';
import { loadTokenizer } from '#src/tokenizer/load-tokenizer.js';
import { threadsOf } from '../../options.js';
import { median, ratios } from '../../report/statistics.js';
import type { BenchContext, Finding, Suite } from '../../suite.js';
import { PREFIX_COLUMNS, randomPrefix, randomPrompt, userName } from '../../load/workload.js';

const REQUESTS = 32;
/** Prompt tokens that all requests have in common, and those that each has of its own. */
const COMMON_TOKENS = 256;
const OWN_TOKENS = 24;
const NEW_TOKENS = 16;
const CACHE_BYTES = 2 ** 30;

/** Gain of the prompt cache for requests whose prompts begin alike, such as with an assistant's instructions. */
export const promptCache: Suite = {
  name: 'prompt-cache',
  question: `When do ${REQUESTS} requests with ${COMMON_TOKENS} prompt tokens in common get their first token, with a prompt cache and without?`,
  async run(context) {
    const { checkpoint: source, cache, options } = context;
    const model = await openModel({ source, cache, slots: REQUESTS, threads: threadsOf(options) });
    try {
      return await measure(model, context);
    } finally {
      await model.dispose();
    }
  },
};

async function measure(model: Model, { options, log }: BenchContext): Promise<Finding[]> {
  const tokenizer = await loadTokenizer(model.tokenizerDirectory);
  const engineWith = (promptCacheBytes: number): Engine =>
    new Engine({ runner: model.runner, tokenizer, eosTokenIds: [], limits: { promptCacheBytes } });
  const rounds: Round[] = [];
  for (let repeat = 0; repeat <= options.repeats; repeat++) {
    const off = await wave(engineWith(0));
    const engine = engineWith(CACHE_BYTES);
    const [on, again] = [await wave(engine), await wave(engine)];
    const round = { off, on, again, bytes: engine.stats().promptCacheBytes };
    const times = [off, on, again].map(({ firstToken }) => `${firstToken.toFixed(0)} ms`);
    log(`${repeat === 0 ? 'warm-up' : `round ${repeat}`}  first token without, with, and known: ${times.join(', ')}`);
    if (repeat > 0) rounds.push(round);
  }
  return findings(rounds);
}

interface Round {
  readonly off: Wave;
  /** With a cache that is empty at first. */
  readonly on: Wave;
  /** With a cache that has seen the same prompts. */
  readonly again: Wave;
  readonly bytes: number;
}

/** Answers to requests that were sent together. */
interface Wave {
  /** Milliseconds to the first token, median of the requests. */
  readonly firstToken: number;
  /** Milliseconds to the first token of the last request. */
  readonly lastFirstToken: number;
  /** Log-probabilities of each request's tokens. */
  readonly logprobs: readonly (readonly number[])[];
}

async function wave(engine: Engine): Promise<Wave> {
  const start = performance.now();
  const all = await Promise.all(requests().map((request) => generate(engine, request)));
  await engine.idle();
  const firsts = all.map(({ firstAt }) => firstAt - start);
  return {
    firstToken: median(firsts),
    lastFirstToken: Math.max(...firsts),
    logprobs: all.map(({ logprobs }) => logprobs),
  };
}

function requests(): GenerationRequest[] {
  const prefix = { kv: randomPrefix(userName(0), PREFIX_COLUMNS), placement: 'prefix', version: 'v1' } as const;
  const common = randomPrompt(0, COMMON_TOKENS);
  return Array.from({ length: REQUESTS }, (_, row) => ({
    tenant: 'tenant',
    prompt: [...common, ...randomPrompt(row + 1, OWN_TOKENS)],
    prefix,
    sampling: { temperature: 0, topP: 1, topK: 0, seed: undefined },
    choice: 0,
    maxTokens: NEW_TOKENS,
    minTokens: 0,
    stop: [],
    stopTokenIds: [],
    ignoreEos: true,
    logprobs: 0,
  }));
}

async function generate(
  engine: Engine,
  request: GenerationRequest,
): Promise<{ readonly firstAt: number; readonly logprobs: number[] }> {
  const logprobs: number[] = [];
  let firstAt = NaN;
  for await (const event of engine.submit(request)) {
    if (event.type !== 'token') continue;
    if (logprobs.length === 0) firstAt = performance.now();
    logprobs.push(event.logprob ?? NaN);
  }
  return { firstAt, logprobs };
}

function findings(rounds: readonly Round[]): Finding[] {
  const of = (read: (round: Round) => number): number[] => rounds.map(read);
  const at = { requests: REQUESTS };
  const off = of((round) => round.off.firstToken);
  const on = of((round) => round.on.firstToken);
  const again = of((round) => round.again.firstToken);
  return [
    { what: 'first token without a prompt cache', at, unit: 'ms', values: off },
    { what: 'first token with one, empty at first', at, unit: 'ms', values: on },
    { what: 'first token with one that knows the prompts', at, unit: 'ms', values: again },
    { what: 'without over with', at, unit: 'x', values: ratios(off, on) },
    { what: 'last first token without', at, unit: 'ms', values: of((round) => round.off.lastFirstToken) },
    { what: 'last first token with', at, unit: 'ms', values: of((round) => round.on.lastFirstToken) },
    { what: 'kept', at, unit: 'MiB', values: of(({ bytes }) => bytes / 2 ** 20) },
    {
      what: 'largest change of a log-probability',
      at,
      unit: 'nats',
      values: of(({ off, on, again }) => Math.max(largestChange(off, on), largestChange(off, again))),
    },
  ];
}

function largestChange(a: Wave, b: Wave): number {
  return Math.max(
    ...a.logprobs.flatMap((row, i) =>
      row.map((value, token) => Math.abs(value - (b.logprobs[i]?.[token] ?? Infinity))),
    ),
  );
}
