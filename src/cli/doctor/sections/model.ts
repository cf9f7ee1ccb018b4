import fs from 'node:fs/promises';
import path from 'node:path';

import { checkContext } from '../../../app/open/context.js';
import { openTokenizer } from '../../../app/open/tokenizer.js';
import { ConfigError } from '../../../config/error.js';
import { precisions } from '../../../config/rules.js';
import type { Config } from '../../../config/variables.js';
import { ModelCheckpoint } from '../../../model/compile/model-checkpoint.js';
import { findCompiled, readManifest, type Manifest } from '../../../model/compile/compiled-model.js';
import { bytesOfSlot, limitContext } from '../../../model/slot-memory.js';
import { layOut } from '../../../model/weights.js';
import { hasEncoder, type ModelShape, queryHeadsOf, slotSite } from '../../../prefix/kv.js';
import { showBytes, type Fact, type Problem, type Section } from '../report.js';
import { findWritable } from './writable.js';

/** Facts about the model that other sections use. */
export interface ExaminedModel {
  readonly weightBytes: number;
  /** Bytes of packed weights that all servers of the machine map; 0 where each has its own. */
  readonly sharedBytes: number;
  /** Bytes of keys and values of one full slot; in an encoder-decoder without virtual tokens, and with those of a source slot. */
  readonly slotBytes: number;
}

const FIX =
  'Set PREAMBLE_MODEL to a Hugging Face GPT-2, BART, Llama, Mistral or Qwen directory with config.json, tokenizer.json and model.safetensors.';

/** Examines whether the model can be served and whether it is compiled. Compiles nothing. */
export async function examineModel(config: Config): Promise<{ section: Section; model?: ExaminedModel }> {
  const source: Fact = { value: path.basename(config.model), why: config.model };
  try {
    const { kv, ...precision } = precisions(config);
    const directory = await findCompiled({ source: config.model, cache: config.cache, ...precision });
    const manifest = directory === undefined ? undefined : await readManifest(directory);
    const { shape: whole, weightBytes, warnings } = manifest ?? (await measureCheckpoint(config.model));
    await checkContext(config);
    const shape = limitContext(whole, config.maxModelLength);
    const { textProblem } = (await openTokenizer(config.model)).tokenizer;
    const tokenizer: Fact =
      textProblem === undefined ? { value: 'BPE' } : { value: 'none', why: 'token ids alone are read and written' };
    const problems = warnings.map(toProblem);
    if (manifest === undefined) problems.push(...(await checkCache(config.cache, weightBytes)));
    const sharedBytes = precision.weights === 'float32' && config.provider === 'cpu' ? weightBytes : 0;
    const model = { weightBytes, sharedBytes, slotBytes: bytesOfSlot(shape, kv) };
    const facts = { source, ...describeShape(shape, weightBytes), tokenizer, compiled: describeCompiled(directory) };
    return { section: { name: 'model', facts, problems }, model };
  } catch (error) {
    const problem: Problem = {
      problem: `the model cannot be served: ${(error as Error).message}`,
      fix: error instanceof ConfigError ? `Set ${error.variable} so.` : FIX,
      fatal: true,
    };
    return { section: { name: 'model', facts: { source }, problems: [problem] } };
  }
}

/** Shape and size of a model that is still to be compiled. */
async function measureCheckpoint(directory: string): Promise<Pick<Manifest, 'shape' | 'weightBytes' | 'warnings'>> {
  const { architecture, config, warnings } = await ModelCheckpoint.open(directory);
  const weightBytes = layOut(architecture.compiledWeights(config)).bytes;
  return { shape: architecture.shape(config), weightBytes, warnings };
}

function toProblem(warning: string): Problem {
  const fix = 'The model is served so; docs/models.md says what is read of its files.';
  return { problem: warning, fix, fatal: false };
}

function describeShape(shape: ModelShape, weightBytes: number): Record<string, Fact> {
  const { width, contextLength, sourceLength, vocabularySize } = shape;
  const site = slotSite(shape);
  const { layers, kvHeads } = site;
  const queryHeads = queryHeadsOf(site);
  const heads = queryHeads === kvHeads ? `${kvHeads} heads` : `${queryHeads} heads, ${kvHeads} of keys and values`;
  const sites = shape.sites.map((site) => `${site.name} ${site.layers} layers of ${site.kvHeads} heads`).join(', ');
  return {
    shape: {
      value: hasEncoder(shape) ? `${sites}, width ${width}` : `${layers} layers, width ${width}, ${heads}`,
    },
    context: { value: contextLength },
    ...(sourceLength !== undefined && { longest_source: { value: sourceLength } }),
    vocabulary: { value: vocabularySize },
    weights_bytes: { value: weightBytes },
  };
}

function describeCompiled(directory: string | undefined): Fact {
  if (directory !== undefined) return { value: true, why: directory };
  return { value: false, why: 'the first start does it, or `npx preamble import-model`' };
}

/** Problems that would prevent compiling the model into the cache. */
async function checkCache(cache: string, weightBytes: number): Promise<Problem[]> {
  const place = await findWritable(cache);
  if (place === undefined) {
    const fix = 'Set PREAMBLE_CACHE to a directory that this process may write to.';
    return [{ problem: `the model is not compiled, and ${cache} cannot be written to`, fix, fatal: true }];
  }
  const { bavail, bsize } = await fs.statfs(place);
  const free = bavail * bsize;
  if (free >= weightBytes) return [];
  const problem = `the compiled model takes ${showBytes(weightBytes)}, but ${cache} has ${showBytes(free)} free`;
  return [{ problem, fix: 'Free some space, or set PREAMBLE_CACHE to another directory.', fatal: true }];
}
