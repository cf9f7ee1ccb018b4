import type { Contender } from '../contenders/contender.js';
import type { EngineContenders } from '../contenders/preamble.js';
import type { DecoderPeerName } from '../options.js';
import type { BenchContext } from '../suite.js';
import { PREFIX_LENGTH, randomPrompt, rates, userName } from '../load/workload.js';
import {
  prepareNodeLlamaCpp,
  prepareOnnxRuntimeNode,
  prepareTransformersLora,
  prepareTransformersPeft,
} from './prepare.js';
import { type PeerCommand, PeerProcess } from './peer-process.js';

/** Tokens that a peer must continue a prompt with as the engine does, before it is measured. */
const CHECKED_TOKENS = 8;

interface Peer {
  /** Installs the peer, writes the weights in its format, and returns the command that starts it. */
  readonly prepare: (context: BenchContext) => Promise<PeerCommand>;
  /** Whether every row has the first user's prefix; without it, prompts are longer by as many tokens. */
  readonly hasPrefix: boolean;
}

const PEERS: Record<DecoderPeerName, Peer> = {
  'node-llama-cpp': { prepare: prepareNodeLlamaCpp, hasPrefix: false },
  'transformers-peft': { prepare: prepareTransformersPeft, hasPrefix: true },
  'transformers-lora': { prepare: prepareTransformersLora, hasPrefix: false },
  'onnxruntime-node': { prepare: prepareOnnxRuntimeNode, hasPrefix: false },
};

/**
 * Installs and starts a peer.
 * @throws Error if the peer cannot be installed, or continues a prompt differently from the engine
 */
export async function openPeer(
  name: DecoderPeerName,
  context: BenchContext,
  continueGreedily: EngineContenders['continueGreedily'],
): Promise<Contender> {
  const { prepare, hasPrefix } = PEERS[name];
  const { context: length, tokens } = context.options;
  const peer = await PeerProcess.start(await prepare(context));
  context.log(`${name}: ${describe(peer.versions)}`);
  const promptLength = Math.max(2, Math.round(length - (hasPrefix ? PREFIX_LENGTH : 0) - tokens / 2));
  const prompts = (rows: number): number[][] =>
    Array.from({ length: rows }, (_, row) => randomPrompt(row, promptLength));
  try {
    const [prompt = []] = prompts(1);
    const { ids } = await peer.generate({ prompts: [prompt], count: CHECKED_TOKENS });
    const expected = await continueGreedily(hasPrefix ? userName(0) : undefined, prompt, CHECKED_TOKENS);
    if (String(ids[0]) !== String(expected)) throw new Error(`it generates ${String(ids[0])}, not ${String(expected)}`);
  } catch (error) {
    await peer.close();
    throw error;
  }
  return {
    name,
    async measure(rows) {
      const { arrivals } = await peer.generate({ prompts: prompts(rows), count: tokens + 1 });
      return { decode: rates(0, arrivals).decode };
    },
    close: () => peer.close(),
  };
}

function describe(versions: PeerProcess['versions']): string {
  return Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
}
