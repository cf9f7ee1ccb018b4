import { withLlama } from '../../inputs/random-llama.js';
import { threadsOf } from '../../options.js';
import type { PeerCommand } from '../../peers/peer-process.js';
import { preparePeftTrainer, prepareTrainer } from '../../peers/prepare.js';
import type { BenchContext, Figure, Goal, Suite } from '../../suite.js';
import { compareTrainers, withTunedMalloc } from './compare-trainers.js';
import { runTune } from './run-tune.js';
import { LEARNED, STEP_TOKENS, trainingExamples } from './batches.js';

/** Steps of one run of `preamble tune`. */
const TUNE_STEPS = 6;
const OURS = 'preamble';
const PEER = 'transformers-peft';
const TUNED_PEER = `${PEER}, malloc tuned`;

/** A model whose prefix is trained, and the goals. */
interface Trained extends Pick<Suite, 'name' | 'question'> {
  /** By peer, with all positions learned. */
  readonly speed: Readonly<Record<string, Goal>>;
  readonly memory: Goal;
  /** The context with the model as its checkpoint; the bench's GPT-2 if absent. */
  readonly withModel?: (context: BenchContext) => Promise<BenchContext>;
}

/** Training speed and memory beside PyTorch and PEFT. */
export const training: Suite = suiteOf({
  name: 'training',
  question: `How fast is a prefix trained, ${STEP_TOKENS} tokens a step, beside PyTorch and PEFT?`,
  speed: { [PEER]: { id: 'P12', atLeast: 1.5 }, [TUNED_PEER]: { id: 'P12', atLeast: 1.2 } },
  memory: { id: 'P13', atMost: 0.7 },
});

/** The same with a Llama of SmolLM2 135M's shape. */
export const trainingLlama: Suite = suiteOf({
  name: 'training-llama',
  question: `How fast is a prefix of a Llama trained, ${STEP_TOKENS} tokens a step, beside PyTorch and PEFT?`,
  speed: { [TUNED_PEER]: { id: 'P37', atLeast: 1.2 } },
  memory: { id: 'P38', atMost: 0.7 },
  withModel: withLlama,
});

function suiteOf(trained: Trained): Suite {
  const { name, question, speed, memory, withModel = (context: BenchContext) => Promise.resolve(context) } = trained;
  return {
    name,
    question,
    async run(given) {
      const context = await withModel(given);
      const batches = LEARNED.map((learned) => ({
        at: { learned },
        examples: trainingExamples(learned),
        tokens: STEP_TOKENS,
        goals: learned === 'all' ? speed : {},
      }));
      const commands = await trainerCommands(context);
      return compareTrainers({ commands, batches, memoryGoal: memory }, context);
    },
    async open(given) {
      const context = await withModel(given);
      return { steps: [() => measureTune(context)], close: () => Promise.resolve() };
    },
  };
}

/** Runs `preamble tune` of the context's build; all tokens are learned. */
async function measureTune(context: BenchContext): Promise<Figure[]> {
  const result = await runTune(context, trainingExamples('all'), TUNE_STEPS);
  return [
    { what: 'preamble tune', unit: 'tok/s', value: result.tokensPerSecond },
    { what: 'preamble tune, peak memory', unit: 'MiB', value: result.peak },
    { what: 'preamble tune, CPU time', unit: 's', value: result.cpuSeconds },
  ];
}

async function trainerCommands(context: BenchContext): Promise<Map<string, PeerCommand>> {
  const threads = threadsOf(context.options);
  const all = new Map([[OURS, await prepareTrainer(context, { threads, spin: true, background: false })]]);
  if (!context.options.peers.includes(PEER)) return all;
  const peft = await preparePeftTrainer(context);
  return all.set(PEER, peft).set(TUNED_PEER, withTunedMalloc(peft));
}
