import { type Contender, rateOfLengths } from '../contenders/contender.js';
import { randomSource } from '../load/summaries.js';
import { rates } from '../load/workload.js';
import type { SummaryPeerName } from '../options.js';
import type { BenchContext } from '../suite.js';
import { type PeerCommand, PeerProcess } from './peer-process.js';
import { prepareCTranslate2, prepareTransformersBart } from './prepare.js';

const BEAMS = 4;
/** A peer encodes all sources first, so its rows decode together from the first token on. */
const BEAM_TOKENS = { short: 4, long: 36 };

/** A peer that summarises, as two contenders; closing `greedy` closes both. */
export interface SummaryPeer {
  readonly greedy: Contender;
  readonly beams: Contender;
}

const PREPARE: Record<SummaryPeerName, (context: BenchContext) => Promise<PeerCommand>> = {
  'transformers-bart': prepareTransformersBart,
  ctranslate2: prepareCTranslate2,
};

/** Installs and starts a peer. @throws Error if it cannot be installed or started */
export async function openSummaryPeer(name: SummaryPeerName, context: BenchContext): Promise<SummaryPeer> {
  const peer = await PeerProcess.start(await PREPARE[name](context));
  const { tokens } = context.options;
  const prompts = (rows: number): number[][] => Array.from({ length: rows }, (_, row) => randomSource(row));
  const time = async (rows: number, count: number): Promise<number> => {
    const begin = performance.now();
    await peer.generate({ prompts: prompts(rows), count, beams: BEAMS });
    return performance.now() - begin;
  };
  return {
    greedy: {
      name,
      measure: async (rows) => {
        const { arrivals } = await peer.generate({ prompts: prompts(rows), count: tokens + 1 });
        return { decode: rates(0, arrivals).decode };
      },
      close: () => peer.close(),
    },
    beams: {
      name: `${name}, ${BEAMS} beams`,
      measure: async (rows) => ({
        decode: await rateOfLengths(rows * BEAMS, BEAM_TOKENS, (count) => time(rows, count)),
      }),
      close: () => Promise.resolve(),
    },
  };
}
