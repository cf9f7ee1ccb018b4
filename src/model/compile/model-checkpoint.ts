import path from 'node:path';

import { elementCount } from '../../runtime/ort/tensor.js';
import { readSafetensorsHeader, SafetensorsError } from '../../safetensors/index.js';
import { CheckpointError } from '../checkpoint-error.js';
import type { ModelShape } from '../../prefix/kv.js';
import type { Architecture, Warn } from '../architecture.js';
import { architectureOf } from '../architectures.js';
import type { WeightSpec } from '../weights.js';
import { findWeightFiles, readJson, readJsonIfThere, sourceFiles } from './checkpoint-files.js';
import { fetchLine } from './missing-files.js';
import { readValues, type SourceTensor } from './source-tensor.js';
import { resolveTies } from './tied-embeddings.js';

/** Safetensors allows headers of 100 MB; a model's is far below. */
const MAX_HEADER_BYTES = 16 << 20;
/** Elements of a piece of zeros. */
const ZEROS = 1 << 20;
/** Names of all element types that are served. */
const SERVED_TYPES = 'F32, F16, BF16 and F64 are converted; save the model in one of them';

/** A model's directory as Hugging Face's `save_pretrained` writes it: read only, never written. */
export class ModelCheckpoint {
  private constructor(
    readonly directory: string,
    readonly architecture: Architecture,
    /** The configuration, which only the architecture reads. */
    readonly config: unknown,
    /** Files that the compiled model depends on. */
    readonly files: readonly string[],
    /** What somebody who starts the model should know of its files, a line each. */
    readonly warnings: readonly string[],
    private readonly tensors: ReadonlyMap<string, SourceTensor>,
  ) {}

  /** Reads the configuration and the tensors' headers. Throws `CheckpointError` naming what is missing or wrong. */
  static async open(directory: string): Promise<ModelCheckpoint> {
    const warnings: string[] = [];
    const warn = (warning: string): void => void warnings.push(warning);
    const { files, architecture, config: parsed } = await readConfig(directory, warn);
    const tensors = await readTensors(directory, architecture);
    const config = await resolveTies(architecture, parsed, tensors, warn);
    const checkpoint = new ModelCheckpoint(directory, architecture, config, files, warnings, tensors);
    checkpoint.#checkTensors();
    return checkpoint;
  }

  /** The values of a weight in order, in pieces of a few megabytes. Throws for a value that is not finite as float32. */
  async *read(spec: WeightSpec): AsyncGenerator<Float32Array<ArrayBuffer>> {
    const source = this.tensors.get(spec.name);
    if (source === undefined) return void (yield* zeros(elementCount(spec.shape)));
    for await (const values of readValues(source, spec.name)) {
      if (!values.every(Number.isFinite)) throw new CheckpointError(`${spec.name} holds a value that is not finite`);
      yield values;
    }
  }

  /** Exactly the weights that the configuration asks for, each of its shape. */
  #checkTensors(): void {
    const expected = new Set<string>();
    for (const { name, shape } of this.architecture.weights(this.config)) {
      expected.add(name);
      const found = this.tensors.get(name);
      if (found === undefined && this.architecture.zeros?.has(name)) continue;
      if (found === undefined) throw new CheckpointError(`weight ${name} is missing`);
      if (found.shape.join() !== shape.join()) {
        throw new CheckpointError(
          `weight ${name} is [${found.shape.join(', ')}], config.json says [${shape.join(', ')}]`,
        );
      }
    }
    for (const name of this.tensors.keys()) {
      if (!expected.has(name)) throw new CheckpointError(`weight ${name} is not one of ${this.architecture.title}`);
    }
  }
}

/** What a model is, without its weights. */
export interface ModelKind {
  readonly architecture: Architecture;
  /** The configuration, which only the architecture reads. */
  readonly config: unknown;
  readonly shape: ModelShape;
}

/** The kind of a checkpoint's model, from its configuration alone. Throws `CheckpointError` naming what is missing or wrong. */
export async function readKind(directory: string): Promise<ModelKind> {
  const { architecture, config } = await readConfig(directory);
  return { architecture, config, shape: architecture.shape(config) };
}

/** What a checkpoint's configuration says, and the files that all of it is read from. */
interface ReadConfig {
  readonly files: readonly string[];
  readonly architecture: Architecture;
  readonly config: unknown;
}

async function readConfig(directory: string, warn?: Warn): Promise<ReadConfig> {
  const files = await sourceFiles(directory);
  const generation = await readJsonIfThere(directory, 'generation_config.json');
  const json = await readJson(directory, 'config.json');
  const architecture = architectureOf(json);
  return { files, architecture, config: architecture.parseConfig(json, generation, warn) };
}

function* zeros(count: number): Generator<Float32Array<ArrayBuffer>> {
  for (let at = 0; at < count; at += ZEROS) yield new Float32Array(Math.min(ZEROS, count - at));
}

/** The tensors of all files that the architecture has a name for. */
async function readTensors(directory: string, architecture: Architecture): Promise<Map<string, SourceTensor>> {
  const tensors = new Map<string, SourceTensor>();
  for (const name of await findWeightFiles(directory)) {
    const file = path.join(directory, name);
    const header = await readSafetensorsHeader(file, { maxHeaderBytes: MAX_HEADER_BYTES }).catch((error: unknown) => {
      if (!(error instanceof SafetensorsError)) throw error;
      throw new CheckpointError(`${file}: ${error.message}; ${fetchLine(directory, name)}`);
    });
    for (const [tensorName, type] of header.others) {
      const weight = architecture.weightName(tensorName);
      if (weight !== undefined)
        throw new CheckpointError(`${file}: weight ${weight} is of type ${type}: ${SERVED_TYPES}`);
    }
    for (const [tensorName, tensor] of header.tensors) {
      const weight = architecture.weightName(tensorName);
      if (weight === undefined) continue;
      if (tensors.has(weight)) throw new CheckpointError(`weight ${weight} is there twice`);
      tensors.set(weight, { ...tensor, file });
    }
  }
  return tensors;
}
