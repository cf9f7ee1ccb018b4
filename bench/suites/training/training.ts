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

const SPEED_GOALS: Readonly<Record<string, Goal>> = {
  [PEER]: { id: 'P12', atLeast: 1.5 },
  [TUNED_PEER]: { id: 'P12', atLeast: 1.2 },
};

/** Training speed and memory beside PyTorch and PEFT. */
export const training: Suite = {
  name: 'training',
  question: `How fast is a prefix trained, ${STEP_TOKENS} tokens a step, beside PyTorch and PEFT?`,
  async run(context) {
    const batches = LEARNED.map((learned) => ({
      at: { learned },
      examples: trainingExamples(learned),
      tokens: STEP_TOKENS,
      goals: learned === 'all' ? SPEED_GOALS : {},
    }));
    const commands = await trainerCommands(context);
    return compareTrainers({ commands, batches, memoryGoal: { id: 'P13', atMost: 0.7 } }, context);
  },
  open: (context) => Promise.resolve({ steps: [() => measureTune(context)], close: () => Promise.resolve() }),
};

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
