import fs from 'node:fs/promises';
import path from 'node:path';

import { packageRoot } from '#src/config/paths.js';
import { exists } from '#src/disk/durable.js';
import { type Contender, rateOfLengths } from '../contenders/contender.js';
import { peftSeq2SeqPrefix, randomSource } from '../load/summaries.js';
import { rates, userName } from '../load/workload.js';
import { type SummaryPeerName, threadsOf } from '../options.js';
import type { BenchContext } from '../suite.js';
import { installPython, run } from './install.js';
import { type PeerCommand, PeerProcess } from './peer-process.js';

const scripts = path.join(packageRoot, 'bench/peers');
const installed = path.join(packageRoot, 'bench/.cache/peers');
const BEAMS = 4;
/** A peer encodes all sources first, so its rows decode together from the first token on. */
const BEAM_TOKENS = { short: 4, long: 36 };

/** A peer that summarises, as two contenders; closing `greedy` closes both. */
export interface SummaryPeer {
  readonly greedy: Contender;
  readonly beams: Contender;
}

const PREPARE: Record<SummaryPeerName, (context: BenchContext) => Promise<PeerCommand>> = {
  'transformers-bart': prepareTransformers,
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

/** `generate` of Transformers with a prefix of PEFT's, which stands in the decoder's self-attention alone. */
async function prepareTransformers({ options, checkpoint }: BenchContext): Promise<PeerCommand> {
  const packages = ['torch', 'transformers', 'peft', 'numpy', 'safetensors'] as const;
  const program = await installPython(path.join(installed, 'transformers-peft'), packages);
  const adapter = path.join(installed, 'seq2seq-adapter');
  await fs.mkdir(adapter, { recursive: true });
  const { config, tensors } = peftSeq2SeqPrefix(userName(0));
  await fs.writeFile(path.join(adapter, 'adapter_config.json'), JSON.stringify(config));
  await fs.writeFile(path.join(adapter, 'adapter_model.safetensors'), tensors);
  const args = [`--model=${checkpoint}`, `--adapter=${adapter}`, `--threads=${threadsOf(options)}`];
  return { program, args: [path.join(scripts, 'transformers_bart.py'), ...args] };
}

/** CTranslate2 in float32, with the checkpoint in its own format. */
async function prepareCTranslate2({ options, checkpoint }: BenchContext): Promise<PeerCommand> {
  const packages = ['ctranslate2', 'torch', 'transformers', 'numpy', 'safetensors'] as const;
  const program = await installPython(path.join(installed, 'ctranslate2'), packages);
  const model = path.join(installed, `${path.basename(checkpoint)}.ct2`);
  if (!(await exists(model))) {
    const converter = path.join(path.dirname(program), 'ct2-transformers-converter');
    await run(converter, ['--model', checkpoint, '--output_dir', model], installed);
  }
  return {
    program,
    args: [path.join(scripts, 'ctranslate2_bart.py'), `--model=${model}`, `--threads=${threadsOf(options)}`],
  };
}
