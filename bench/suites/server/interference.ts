import path from 'node:path';

import { defaultConfig } from '#src/config/config.js';
import type { BenchContext, Figure, Finding, Suite } from '../../suite.js';
import { startServer } from '../../process/server-process.js';
import { type Ask, gaps, quantile, randomTokens, timeToFirstToken, TokenStream } from '../../load/token-stream.js';

const STREAMS = 8;
const PROMPT_TOKENS = 512;
/** Tokens of each stream in the steady state. */
const STEADY_TOKENS = 48;
/** Sizes of the long prompt's chunks, compared with the default. */
const CHUNKS = [16, 32, 64, 128];

/** Times of one round, in milliseconds. */
interface Times {
  /** Between tokens of the streams before the prompt was sent, 95th percentile. */
  readonly steady: number;
  /** Between tokens of the streams while the prompt was computed, 95th percentile. */
  readonly disturbed: number;
  /** From sending the prompt to its first token, with the streams running. */
  readonly first: number;
  /** From sending the prompt to its first token, on an idle server. */
  readonly alone: number;
}

/** Effect of a long prompt on running streams, and of the streams on the prompt. */
export const interference: Suite = {
  name: 'interference',
  question: `What does a ${PROMPT_TOKENS}-token prompt do to ${STREAMS} running streams, and they to it?`,
  async run(context) {
    const byDefault = defaultConfig().maxChunkTokens;
    const findings: Finding[] = [];
    for (const chunk of new Set([byDefault, ...CHUNKS])) {
      findings.push(...toFindings(await measureChunk(chunk, context), chunk, chunk === byDefault));
    }
    return findings;
  },
  async open(context) {
    const server = await startServer(context);
    const model = path.basename(context.checkpoint);
    const step = async (round: number): Promise<Figure[]> => toFigures(await measure(server.url, model, String(round)));
    return { steps: [step], close: () => server.stop() };
  },
};

/** What encoding a source, or a long prompt, does to the streams of a server that runs: the longest gaps over those before. */
export async function disturbedOverSteady(
  { options, checkpoint, log }: BenchContext,
  url: string,
  goalId: string,
): Promise<Finding[]> {
  const values: number[] = [];
  for (let round = 0; round <= options.repeats; round++) {
    const { steady, disturbed, first } = await measure(url, path.basename(checkpoint), `beside/${round}`);
    log(
      `round ${round}  between tokens ${steady.toFixed(0)} ms, then ${disturbed.toFixed(0)} ms; first token ${first.toFixed(0)} ms`,
    );
    if (round > 0) values.push(disturbed / steady);
  }
  return [{ what: 'between tokens, p95, over steady', unit: 'x', values, goal: { id: goalId, atMost: 2 } }];
}

async function measureChunk(chunk: number, context: BenchContext): Promise<Times[]> {
  const { repeats } = context.options;
  const server = await startServer(context, { PREAMBLE_MAX_CHUNK_TOKENS: String(chunk) });
  try {
    const all: Times[] = [];
    for (let round = 0; round <= repeats; round++) {
      const times = await measure(server.url, path.basename(context.checkpoint), `${chunk}/${round}`);
      const [steady, disturbed, first, alone] = Object.values(times).map((time: number) => time.toFixed(0));
      context.log(
        `chunk ${chunk}  ${round === 0 ? 'warm-up' : `round ${round}`}  between tokens ${steady} ms, then ${disturbed} ms; first token ${first} ms, alone ${alone} ms`,
      );
      if (round > 0) all.push(times);
    }
    return all;
  } finally {
    await server.stop();
  }
}

async function measure(url: string, model: string, seed: string): Promise<Times> {
  const long = (name: string): Ask => ({ model, prompt: randomTokens(`${seed}/${name}`, PROMPT_TOKENS), maxTokens: 1 });
  const streams = Array.from({ length: STREAMS }, (_, row) => {
    return new TokenStream(url, { model, prompt: randomTokens(`${seed}/${row}`, 16), maxTokens: 900 });
  });
  // The steady state begins after all streams have started.
  const settled = Math.max(...(await Promise.all(streams.map((stream) => stream.token(4)))));
  const counts = streams.map(({ arrivals }) => arrivals.length);
  await Promise.all(streams.map((stream, row) => stream.token((counts[row] ?? 0) + STEADY_TOKENS)));
  const sent = performance.now();
  const first = await timeToFirstToken(url, long('beside'));
  const steady = quantile(gaps(streams, settled, sent), 0.95);
  // A gap that began while the prompt was computed ends after its first token.
  await Promise.all(streams.map((stream) => stream.token(stream.arrivals.length + 1)));
  const disturbed = quantile(gaps(streams, sent, sent + first), 0.95);
  await Promise.all(streams.map((stream) => stream.cancel()));
  return { steady, disturbed, first, alone: await timeToFirstToken(url, long('alone')) };
}

function toFigures({ steady, disturbed, first, alone }: Times): Figure[] {
  return [
    { what: 'between tokens, p95, steady', unit: 'ms', value: steady },
    { what: 'between tokens, p95, beside the prompt', unit: 'ms', value: disturbed },
    { what: 'first token of the prompt, alone', unit: 'ms', value: alone },
    { what: 'first token of the prompt, beside streams', unit: 'ms', value: first },
  ];
}

function toFindings(times: readonly Times[], chunk: number, isDefault: boolean): Finding[] {
  const at = { 'chunk tokens': chunk };
  const goal = isDefault ? { goal: { id: 'P6', atMost: 2 } } : {};
  const values = (pick: (times: Times) => number): number[] => times.map(pick);
  return [
    { what: 'between tokens, p95, steady', at, unit: 'ms', values: values(({ steady }) => steady) },
    { what: 'between tokens, p95, beside the prompt', at, unit: 'ms', values: values(({ disturbed }) => disturbed) },
    { what: 'between tokens, p95, over steady', at, unit: 'x', values: values((t) => t.disturbed / t.steady), ...goal },
    { what: 'first token of the prompt, alone', at, unit: 'ms', values: values(({ alone }) => alone) },
    { what: 'first token of the prompt, beside streams', at, unit: 'ms', values: values(({ first }) => first) },
    { what: 'first token of the prompt, over alone', at, unit: 'x', values: values((t) => t.first / t.alone), ...goal },
  ];
}
