import os from 'node:os';

import { ConfigError } from '../../config/error.js';
import { precisions } from '../../config/rules.js';
import type { Settings } from '../../config/variables.js';
import { bytesOfPosition, limitContext } from '../../model/slot-memory.js';
import { hasEncoder, type ModelShape } from '../../prefix/kv.js';
import { kindOf } from './tokenizer.js';

const NAME = 'PREAMBLE_MAX_MODEL_LEN';

/**
 * Checks, before anything is compiled, that the model has the context that the settings ask for and that its slots fit into the memory of
 * this machine, or of the control group.
 * @param memory bytes that there are
 * @throws ConfigError naming the variable that helps
 */
export async function checkContext(config: Settings<'model'>, memory = memoryLimit()): Promise<void> {
  const { shape } = await kindOf(config.model);
  refuseLonger(config, shape);
  if (config.provider !== 'cpu' || hasEncoder(shape)) return; // an encoder-decoder writes half of what it reserves
  const { slots } = config;
  const { kv } = precisions(config);
  const { contextLength } = limitContext(shape, config.maxModelLength);
  const position = slots * bytesOfPosition(shape, kv);
  if (contextLength * position <= memory) return;
  const needed = `${showSlots(slots)} of ${contextLength} positions need ${gigabytes(contextLength * position)} for ${kv} keys and values`;
  const most = Math.floor(memory / position);
  const remedy = most < 2 ? 'set PREAMBLE_SLOTS lower' : `at most ${most} positions fit, or set PREAMBLE_SLOTS lower`;
  throw new ConfigError(NAME, `${needed}, and there are ${gigabytes(memory)} of memory: ${remedy}`);
}

/** What the slots of a model take when they are full, for people. */
export function describeSlots(
  { contextLength, ...shape }: ModelShape,
  config: Pick<Settings<'model'>, 'slots' | 'provider' | 'weights' | 'kv'>,
): string {
  const { slots } = config;
  const bytes = slots * contextLength * bytesOfPosition({ contextLength, ...shape }, precisions(config).kv);
  return `${showSlots(slots)} of ${contextLength} tokens, ${gigabytes(bytes)} of keys and values when all are full`;
}

function refuseLonger({ maxModelLength }: Pick<Settings<'model'>, 'maxModelLength'>, shape: ModelShape): void {
  if (maxModelLength === undefined) return;
  if (hasEncoder(shape)) throw new ConfigError(NAME, 'the context of an encoder-decoder cannot be set lower');
  if (maxModelLength <= shape.contextLength) return;
  throw new ConfigError(NAME, `${maxModelLength} is more than the ${shape.contextLength} positions that the model has`);
}

function showSlots(slots: number): string {
  return slots === 1 ? '1 slot (PREAMBLE_SLOTS)' : `${slots} slots (PREAMBLE_SLOTS)`;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(bytes < 2 ** 30 ? 2 : 1)} GiB`;
}

/** Bytes of memory that this process may have. */
function memoryLimit(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, os.totalmem()) : os.totalmem();
}
