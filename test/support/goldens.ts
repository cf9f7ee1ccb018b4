import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { decodeFloats, parseSafetensors } from '../../src/safetensors/index.js';

const own = fileURLToPath(new URL('../goldens', import.meta.url));
const complete = fileURLToPath(new URL('../../../shared/goldens', import.meta.url));
const root = fs.existsSync(complete) ? complete : own;
/**
 * Where models lie, with their adapters and what is expected of them: GPT-2's, and those of the Llama family. The own `tiny-llama3` goes
 * first: see README.md there.
 */
const roots = [root, path.join(own, 'llama'), path.join(root, 'llama')].filter((one) => fs.existsSync(one));

/** One case of `expected/MODEL.greedy.json`. */
export interface GreedyCase {
  readonly id: string;
  /** Null: the base model alone. */
  readonly adapter: string | null;
  readonly prompt: number[];
  readonly ids: number[];
  readonly logprobs: number[];
  readonly finish_reason: 'stop' | 'length';
}

/** One case of `expected/MODEL.infix.json`: logits of every position of the continuation. */
interface InfixCase {
  readonly prompt: number[];
  readonly continuation: number[];
  readonly greedy_next: number[];
  readonly logits: number[][];
}

/** One case of `expected/MODEL.beam.json`: what `generate(num_beams=...)` returned. */
export interface BeamCase {
  readonly prompt: number[];
  readonly num_beams: number;
  readonly length_penalty: number;
  readonly max_new_tokens: number;
  readonly eos_token_id: number;
  /** All hypotheses, best first, without padding. */
  readonly sequences: number[][];
  readonly scores: number[];
}

export interface FloatTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What Transformers and PEFT computed for one model. */
export interface Golden {
  readonly name: string;
  readonly directory: string;
  readonly greedy: { readonly cases: GreedyCase[]; readonly batches: string[][] };
  readonly infix: InfixCase[];
  /** Texts, their ids, and what those decode to. */
  readonly tokenizer: { text: string; ids: number[]; decoded: string }[];
  /** `[cases, vocabulary]`: logits that choose the first new token. */
  readonly firstLogits: FloatTensor;
  /** `[6, layers * 2 * width]`. */
  readonly infixRows: FloatTensor;
  /** Directory of an adapter as PEFT saved it. */
  adapter(name: string): string;
}

/** Names of all decoder-only models. */
export function goldenNames(): string[] {
  return [...new Set(roots.flatMap((one) => fs.readdirSync(path.join(one, 'models')).sort()))];
}

/** The folder with what belongs to a model. */
function rootOf(name: string): string {
  return roots.find((one) => fs.existsSync(path.join(one, 'models', name))) ?? root;
}

export function golden(name: string): Golden {
  const own = rootOf(name);
  const tensors = readTensors(path.join(own, 'expected', `${name}.safetensors`));
  return {
    name,
    directory: path.join(own, 'models', name),
    greedy: expected(`${name}.greedy.json`) as Golden['greedy'],
    infix: expected(`${name}.infix.json`) as InfixCase[],
    tokenizer: textsOf(name, own),
    firstLogits: tensors['first_logits'] as FloatTensor,
    infixRows: tensors['infix_rows'] as FloatTensor,
    adapter: (adapter) => path.join(own, 'adapters', name, adapter),
  };
}

/** Names of the models with beam searches. */
export function beamModels(): string[] {
  return goldenNames().filter((name) => fs.existsSync(path.join(rootOf(name), 'expected', `${name}.beam.json`)));
}

/** Beam searches of a model: an adapter's name, or `base`, to its cases. */
export function beamGoldens(name: string): [adapter: string, cases: BeamCase[]][] {
  return Object.entries(expected(`${name}.beam.json`) as Record<string, BeamCase[]>);
}

/** What PyTorch computed in training: see `training` in `make.py`. */
export interface TrainingGolden {
  readonly meta: {
    readonly batch: { readonly source: number[]; readonly target: number[] }[];
    readonly separator: number;
    readonly losses: Record<'prefix' | 'embedding' | 'infix', number> & { readonly mlp?: number };
    readonly run: {
      readonly steps: number;
      readonly lr: number;
      readonly clip_norm: number;
      readonly losses: Record<'prefix' | 'embedding' | 'infix', number[]>;
    };
  };
  readonly tensors: Record<string, FloatTensor>;
}

export function trainingGolden(name: string): TrainingGolden {
  return {
    meta: expected(`${name}.training.json`) as TrainingGolden['meta'],
    tensors: readTensors(path.join(rootOf(name), 'expected', `${name}.training.safetensors`)),
  };
}

/** Texts of a model's own, or those that its chat template wrote. */
function textsOf(name: string, own: string): Golden['tokenizer'] {
  if (fs.existsSync(path.join(own, 'expected', `${name}.tokenizer.json`))) {
    return expected(`${name}.tokenizer.json`) as Golden['tokenizer'];
  }
  const chats = expected(`${name}.chat.json`) as { text: string; ids: number[] }[];
  return chats.map(({ text, ids }) => ({ text, ids, decoded: text }));
}

/** A file of `expected/`, whose name begins with that of its model. */
function expected(file: string): unknown {
  const model = file.slice(0, file.indexOf('.'));
  return JSON.parse(fs.readFileSync(path.join(rootOf(model), 'expected', file), 'utf8'));
}

export function readTensors(file: string): Record<string, FloatTensor> {
  const bytes = fs.readFileSync(file);
  return Object.fromEntries(
    [...parseSafetensors(bytes).tensors].map(([name, { dtype, shape, begin, end }]) => [
      name,
      { shape, data: decodeFloats(bytes.subarray(begin, end), dtype) },
    ]),
  );
}
