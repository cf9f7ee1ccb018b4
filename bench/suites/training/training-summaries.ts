import path from 'node:path';

import { randomBart } from '../../inputs/random-bart.js';
import { randomSource } from '../../load/summaries.js';
import { threadsOf } from '../../options.js';
import type { PeerCommand } from '../../peers/peer-process.js';
import { prepareAdaptersTrainer, prepareTrainer } from '../../peers/prepare.js';
import type { TrainRequest } from '../../peers/protocol.js';
import type { BenchContext, Goal, Suite } from '../../suite.js';
import { compareTrainers, withTunedMalloc } from './compare-trainers.js';

const [ROWS, SOURCE_TOKENS, TARGET_TOKENS] = [8, 256, 32];
const PEER = 'adapters';
const TUNED_PEER = `${PEER}, malloc tuned`;
const GOAL: Goal = { id: 'P21', atLeast: 1.3 };

/** Training speed and memory of a prefix at a BART's three sites, beside PyTorch and AdapterHub's library. */
export const trainingSummaries: Suite = {
  name: 'training-summaries',
  question: `How fast is a prefix at three sites trained, sources of ${SOURCE_TOKENS} and targets of ${TARGET_TOKENS} tokens, beside PyTorch and AdapterHub's library?`,
  async run(given) {
    const context = { ...given, checkpoint: await randomBart(path.dirname(given.checkpoint)) };
    const batch = {
      at: { rows: String(ROWS) },
      examples: Array.from({ length: ROWS }, (_, row) => example(row)),
      tokens: ROWS * (SOURCE_TOKENS + TARGET_TOKENS),
      goals: { [PEER]: GOAL, [TUNED_PEER]: GOAL },
    };
    const commands = await trainerCommands(context);
    return compareTrainers({ commands, batches: [batch], memoryGoal: { id: 'P22', atMost: 0.7 } }, context);
  },
};

/** An example whose decoder starts as the model's does. */
function example(row: number): TrainRequest['examples'][number] {
  const source = randomSource(row, SOURCE_TOKENS);
  const target = randomSource(`target/${row}`, TARGET_TOKENS);
  return { source, target };
}

async function trainerCommands(context: BenchContext): Promise<Map<string, PeerCommand>> {
  const threads = threadsOf(context.options);
  const all = new Map([['preamble', await prepareTrainer(context, { threads, spin: true, background: false })]]);
  if (!context.options.peers.includes(PEER)) return all;
  const adapters = await prepareAdaptersTrainer(context);
  return all.set(PEER, adapters).set(TUNED_PEER, withTunedMalloc(adapters));
}
