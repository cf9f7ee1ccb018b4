import { type Comparison, comparisonFindings, rateFindings } from '../../contenders/comparisons.js';
import { openContenders, openServer } from '../../contenders/preamble.js';
import { type Contender, type Entry, measureRounds, type Rounds } from '../../contenders/contender.js';
import { withLlama } from '../../inputs/random-llama.js';
import { DECODER_PEERS, type DecoderPeerName } from '../../options.js';
import { openPeer } from '../../peers/peers.js';
import type { BenchContext, Figure, Finding, Goal, Suite } from '../../suite.js';

const GPT2_COMPARISONS: readonly Comparison[] = [
  {
    above: 'server',
    below: 'node-llama-cpp',
    goals: { 1: { id: 'P1', atLeast: 1.1 }, 8: { id: 'P1', atLeast: 1.9 }, 32: { id: 'P1', atLeast: 2.6 } },
  },
  { above: 'server', below: 'onnxruntime-node', goals: { 32: { id: 'P2', atLeast: 3 } } },
  { above: 'server', below: 'transformers-peft', goals: { 32: { id: 'P2', atLeast: 1.9 } } },
  {
    above: 'server',
    below: 'transformers-lora',
    goals: { 1: { id: 'P34', atLeast: 2 }, 8: { id: 'P34', atLeast: 3 }, 32: { id: 'P34', atLeast: 2.3 } },
  },
  {
    above: 'engine',
    below: 'engine, one prefix',
    goals: { 32: { id: 'P4', atLeast: 0.98 }, 256: { id: 'P4', atLeast: 0.98 } },
  },
  {
    above: 'server',
    below: 'engine',
    goals: { 1: { id: 'P5', atLeast: 0.95 }, 8: { id: 'P5', atLeast: 0.95 }, 32: { id: 'P5', atLeast: 0.95 } },
  },
];

const LLAMA_COMPARISONS: readonly Comparison[] = [
  {
    above: 'server',
    below: 'node-llama-cpp',
    goals: { 1: { id: 'P35', atLeast: 1 }, 8: { id: 'P35', atLeast: 1.5 }, 32: { id: 'P35', atLeast: 2 } },
  },
  {
    above: 'server',
    below: 'transformers-peft',
    goals: { 8: { id: 'P36', atLeast: 2 }, 32: { id: 'P36', atLeast: 2 } },
  },
  { above: 'engine', below: 'engine, one prefix', goals: {} },
  { above: 'server', below: 'engine', goals: {} },
];

const DELAY_GOAL: Goal = { id: 'P11', atMost: 5 };

/** A model that is decoded, and what it is compared with. */
interface Decoded extends Pick<Suite, 'name' | 'question'> {
  readonly comparisons: readonly Comparison[];
  readonly peers: readonly DecoderPeerName[];
  /** For the event loop's delay at 32 rows. */
  readonly delayGoal?: Goal;
  /** The context with the model as its checkpoint; the bench's GPT-2 if absent. */
  readonly withModel?: (context: BenchContext) => Promise<BenchContext>;
}

/** Tokens per second of the server, of the engine alone, and of the peers. */
export const decode: Suite = suiteOf({
  name: 'decode',
  question: 'How many tokens per second, with a prefix for every user, beside the peers?',
  comparisons: GPT2_COMPARISONS,
  peers: DECODER_PEERS,
  delayGoal: DELAY_GOAL,
});

/** The same with a Llama of SmolLM2 135M's shape. */
export const decodeLlama: Suite = suiteOf({
  name: 'decode-llama',
  question: 'How many tokens per second of a Llama, with a prefix for every user, beside the peers?',
  comparisons: LLAMA_COMPARISONS,
  peers: ['node-llama-cpp', 'transformers-peft'],
  withModel: withLlama,
});

function suiteOf(decoded: Decoded): Suite {
  const { name, question, withModel = (context: BenchContext) => Promise.resolve(context) } = decoded;
  return {
    name,
    question,
    async run(given) {
      const context = await withModel(given);
      const entries: Entry[] = [];
      try {
        await openAll(context, decoded.peers, entries);
        const { options, log } = context;
        const onRound = (rounds: Rounds): Promise<void> => context.keep(findings(decoded, entries, rounds));
        return findings(decoded, entries, await measureRounds(entries, options, { log, onRound }));
      } finally {
        for (const { contender } of entries) await contender.close();
      }
    },
    async open(given) {
      const context = await withModel(given);
      const server = await openServer(context);
      const measure = async (rows: number): Promise<Figure[]> => {
        const { decode, firstToken, cpuPerToken } = await server.measure(rows);
        const at = { rows };
        return [
          { what: 'tokens per second', at, unit: 'tok/s', value: decode },
          { what: 'first token', at, unit: 'ms', value: firstToken },
          { what: 'CPU time per token', at, unit: 'ms', value: cpuPerToken },
        ];
      };
      return { steps: context.options.rows.map((rows) => () => measure(rows)), close: () => server.close() };
    },
  };
}

/** Reports a peer that cannot be installed or started, and leaves it out. */
async function openAll(context: BenchContext, known: readonly DecoderPeerName[], entries: Entry[]): Promise<void> {
  const { rows, peers } = context.options;
  const add = (contender: Contender, at = rows): number => entries.push({ contender, rows: at });
  add(await openServer(context));
  const { engine, onePrefix, continueGreedily } = await openContenders(context);
  add(engine);
  add(onePrefix, [Math.max(...rows)]);
  for (const name of known.filter((one) => peers.includes(one))) {
    try {
      add(await openPeer(name, context, continueGreedily));
    } catch (error) {
      context.log(`${name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function findings({ comparisons, delayGoal }: Decoded, entries: readonly Entry[], rounds: Rounds): Finding[] {
  return [
    ...rateFindings(entries, rounds),
    ...comparisonFindings(comparisons, entries, rounds),
    ...delays(delayGoal, entries, rounds),
  ];
}

function delays(atMost: Goal | undefined, entries: readonly Entry[], rounds: Rounds): Finding[] {
  return entries.flatMap(({ contender: { name }, rows }) =>
    rows.flatMap((count): Finding[] => {
      const values = rounds.of(name, count).flatMap(({ eventLoopDelay }) => eventLoopDelay ?? []);
      if (values.length === 0) return [];
      const goal = count === 32 ? atMost : undefined;
      const what = `event-loop delay of the ${name}, p99`;
      return [{ what, at: { rows: count }, unit: 'ms', values, ...(goal && { goal }) }];
    }),
  );
}
