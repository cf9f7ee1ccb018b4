import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { decodeFloats, parseSafetensors } from '../../src/safetensors/index.js';

const own = fileURLToPath(new URL('../goldens', import.meta.url));
const complete = fileURLToPath(new URL('../../../shared/goldens', import.meta.url));
const root = fs.existsSync(complete) ? complete : own;

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

/** One case of `expected/tiny-a.beam.json`: what `generate(num_beams=...)` returned. */
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
  readonly tokenizer: { text: string; ids: number[]; decoded: string }[];
  /** `[cases, vocabulary]`: logits that choose the first new token. */
  readonly firstLogits: FloatTensor;
  /** `[6, layers * 2 * width]`. */
  readonly infixRows: FloatTensor;
  /** Directory of an adapter as PEFT saved it. */
  adapter(name: string): string;
}

export function goldenNames(): string[] {
  return fs.readdirSync(path.join(root, 'models')).sort();
}

export function golden(name: string): Golden {
  const tensors = readTensors(path.join(root, 'expected', `${name}.safetensors`));
  return {
    name,
    directory: path.join(root, 'models', name),
    greedy: expected(`${name}.greedy.json`) as Golden['greedy'],
    infix: expected(`${name}.infix.json`) as InfixCase[],
    tokenizer: expected(`${name}.tokenizer.json`) as Golden['tokenizer'],
    firstLogits: tensors['first_logits'] as FloatTensor,
    infixRows: tensors['infix_rows'] as FloatTensor,
    adapter: (adapter) => path.join(root, 'adapters', name, adapter),
  };
}

/** Beam searches of the model `tiny-a`: an adapter's name, or `base`, to its cases. */
export function beamGoldens(): [adapter: string, cases: BeamCase[]][] {
  return Object.entries(expected('tiny-a.beam.json') as Record<string, BeamCase[]>);
}

/** What PyTorch computed in training: see `training` in `make.py`. */
export interface TrainingGolden {
  readonly meta: {
    readonly batch: { readonly source: number[]; readonly target: number[] }[];
    readonly separator: number;
    readonly losses: Record<'prefix' | 'embedding' | 'infix' | 'mlp', number>;
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
    tensors: readTensors(path.join(root, 'expected', `${name}.training.safetensors`)),
  };
}

/** A file of `expected/`. */
function expected(file: string): unknown {
  return JSON.parse(fs.readFileSync(path.join(root, 'expected', file), 'utf8'));
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
