import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { answerRequests, type PeerAnswer, type PeerRequest } from './protocol.js';

/** Used part of node-llama-cpp, which is not among this package's dependencies. */
interface NodeLlamaCpp {
  readonly getLlama: (options: object) => Promise<{ loadModel(options: object): Promise<LlamaModel> }>;
}
interface LlamaModel {
  createContext(options: object): Promise<LlamaContext>;
}
interface LlamaContext {
  getSequence(): Sequence;
}
interface Sequence {
  clearHistory(): Promise<void>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number>;
}

/** The peer node-llama-cpp: one context with a sequence for each row, evaluated in parallel as its guide on batching says. */
const { values } = parseArgs({
  options: {
    packages: { type: 'string', default: '' },
    model: { type: 'string', default: '' },
    threads: { type: 'string', default: '' },
    context: { type: 'string', default: '' },
  },
});
const threads = Number(values.threads);
const installed = path.join(values.packages, 'node_modules/node-llama-cpp');
const { getLlama } = (await import(pathToFileURL(path.join(installed, 'dist/index.js')).href)) as NodeLlamaCpp;
const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: 'error' });
const model = await llama.loadModel({ modelPath: values.model });
/** Sequences by number of rows: each number has a context of its own. */
const contexts = new Map<number, Promise<Sequence[]>>();

const { version } = JSON.parse(await readFile(path.join(installed, 'package.json'), 'utf8')) as { version: string };
await answerRequests({ versions: { 'node-llama-cpp': version } }, generate);

/** First all prompts but their last tokens, then all rows decode together. */
async function generate({ prompts, count }: PeerRequest): Promise<PeerAnswer> {
  const sequences = await openSequences(prompts.length);
  await Promise.all(sequences.map((sequence) => sequence.clearHistory()));
  await Promise.all(
    sequences.map((sequence, row) => sequence.evaluateWithoutGeneratingNewTokens(prompts[row]?.slice(0, -1) ?? [])),
  );
  const rows = await Promise.all(
    sequences.map((sequence, row) => continueFrom(sequence, prompts[row]?.slice(-1) ?? [], count)),
  );
  return { ids: rows.map(({ ids }) => ids), arrivals: rows.map(({ times }) => times) };
}

function openSequences(rows: number): Promise<Sequence[]> {
  const known = contexts.get(rows);
  if (known !== undefined) return known;
  const options = { sequences: rows, contextSize: Number(values.context), threads: { ideal: threads, min: threads } };
  const made = model
    .createContext(options)
    .then((context) => Array.from({ length: rows }, () => context.getSequence()));
  contexts.set(rows, made);
  return made;
}

async function continueFrom(
  sequence: Sequence,
  last: readonly number[],
  count: number,
): Promise<{ ids: number[]; times: number[] }> {
  const ids: number[] = [];
  const times: number[] = [];
  for await (const id of sequence.evaluate(last, { temperature: 0, yieldEogToken: true })) {
    ids.push(id);
    times.push(performance.now());
    if (ids.length === count) break;
  }
  return { ids, times };
}
