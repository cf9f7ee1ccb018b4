import path from 'node:path';

import { type Comparison, comparisonFindings, rateFindings } from '../../contenders/comparisons.js';
import { type Entry, measureRounds, type Rounds } from '../../contenders/contender.js';
import { openSummaryServer } from '../../contenders/summary-server.js';
import { randomBart } from '../../inputs/random-bart.js';
import { openSummaryPeer } from '../../peers/summary-peers.js';
import { SUMMARY_PEERS } from '../../options.js';
import type { BenchContext, Finding, Suite } from '../../suite.js';
import { disturbedOverSteady } from './interference.js';

/** Sources that are summarised together by beam search. */
const BEAM_SOURCES = 8;

const COMPARISONS: readonly Comparison[] = [
  {
    above: 'server',
    below: 'transformers-bart',
    goals: { 1: { id: 'P17', atLeast: 2 }, 8: { id: 'P17', atLeast: 2 }, 32: { id: 'P17', atLeast: 2 } },
  },
  {
    above: 'server, 4 beams',
    below: 'transformers-bart, 4 beams',
    goals: { [BEAM_SOURCES]: { id: 'P17', atLeast: 5 } },
  },
  {
    above: 'server',
    below: 'ctranslate2',
    goals: { 8: { id: 'P18', atLeast: 1.1 }, 32: { id: 'P18', atLeast: 1.1 } },
  },
  { above: 'server, 4 beams', below: 'ctranslate2, 4 beams', goals: {} },
  { above: 'server', below: 'server, one prefix', goals: { 32: { id: 'P19', atLeast: 0.97 } } },
];

/** Tokens per second of summaries by a BART, of the server and of the peers, and what a source does to running streams. */
export const summaries: Suite = {
  name: 'summaries',
  question: 'How many tokens of summaries per second, with a prefix at three sites for every user, beside the peers?',
  async run(given) {
    const context = { ...given, checkpoint: await randomBart(path.dirname(given.checkpoint)) };
    const { rows, repeats } = context.options;
    const entries: Entry[] = [];
    try {
      const server = await openSummaryServer(context);
      entries.push({ contender: server.ownPrefixes, rows }, { contender: server.beams, rows: [BEAM_SOURCES] });
      entries.push({ contender: server.onePrefix, rows: [Math.max(...rows)] });
      const beside = await disturbedOverSteady(context, server.url, 'P20');
      await openPeers(context, entries);
      const onRound = (rounds: Rounds): Promise<void> => context.keep([...findings(entries, rounds), ...beside]);
      const all = { rows: [...new Set([...rows, BEAM_SOURCES])], repeats };
      return [...findings(entries, await measureRounds(entries, all, { log: context.log, onRound })), ...beside];
    } finally {
      for (const { contender } of entries) await contender.close();
    }
  },
};

/** Reports a peer that cannot be installed or started, and leaves it out. */
async function openPeers(context: BenchContext, entries: Entry[]): Promise<void> {
  const { rows, peers } = context.options;
  for (const name of SUMMARY_PEERS.filter((one) => peers.includes(one))) {
    try {
      const { greedy, beams } = await openSummaryPeer(name, context);
      entries.push({ contender: greedy, rows }, { contender: beams, rows: [BEAM_SOURCES] });
    } catch (error) {
      context.log(`${name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function findings(entries: readonly Entry[], rounds: Rounds): Finding[] {
  return [...rateFindings(entries, rounds), ...comparisonFindings(COMPARISONS, entries, rounds)];
}
