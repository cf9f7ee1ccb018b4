import fs from 'node:fs/promises';
import path from 'node:path';

import { type Dtype, DTYPE_BYTES, decodeFloats, readSafetensorsHeader } from '../../safetensors/index.js';
import { CheckpointError } from '../checkpoint-error.js';
import type { Architecture, Json } from '../architecture.js';
import { architectureOf } from '../architectures.js';
import type { WeightSpec } from '../weights.js';
import { tokenizerFiles } from './tokenizer-files.js';

/** A tensor of a checkpoint: where its bytes lie. */
interface SourceTensor {
  readonly file: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Absolute byte offset in the file. */
  readonly begin: number;
  readonly end: number;
}

const INDEX_FILE = 'model.safetensors.index.json';
const SINGLE_FILE = 'model.safetensors';
/** Safetensors allows headers of 100 MB; a model's is far below. */
const MAX_HEADER_BYTES = 16 << 20;
/** Bytes read, converted and handed on at once. */
const PIECE_BYTES = 4 << 20;

/** A model's directory as Hugging Face's `save_pretrained` writes it: read only, never written. */
export class ModelCheckpoint {
  private constructor(
    readonly directory: string,
    readonly architecture: Architecture,
    /** The configuration, which only the architecture reads. */
    readonly config: unknown,
    /** Files that the compiled model depends on. */
    readonly files: readonly string[],
    private readonly tensors: ReadonlyMap<string, SourceTensor>,
  ) {}

  /** Reads the configuration and the tensors' headers. Throws `CheckpointError` naming what is missing or wrong. */
  static async open(directory: string): Promise<ModelCheckpoint> {
    const generation = await readJsonIfThere(directory, 'generation_config.json');
    const json = await readJson(directory, 'config.json');
    const architecture = architectureOf(json);
    const config = architecture.parseConfig(json, generation);
    const weightFiles = await findWeightFiles(directory);
    const tensors = new Map<string, SourceTensor>();
    const nameOf = (tensor: string): string | undefined => architecture.weightName(tensor, config);
    for (const file of weightFiles) await addTensors(path.join(directory, file), nameOf, tensors);
    const checkpoint = new ModelCheckpoint(directory, architecture, config, await sourceFiles(directory), tensors);
    checkpoint.#checkTensors();
    return checkpoint;
  }

  /** The values of a weight in order, in pieces of a few megabytes. Throws for a value that is not finite. */
  async *read(spec: WeightSpec): AsyncGenerator<Float32Array<ArrayBuffer>> {
    const source = this.tensors.get(spec.name) as SourceTensor;
    const file = await fs.open(source.file, 'r');
    try {
      const bytes = new Uint8Array(PIECE_BYTES);
      for (let at = source.begin; at < source.end;) {
        const { bytesRead } = await file.read(bytes, 0, Math.min(PIECE_BYTES, source.end - at), at);
        const whole = bytesRead - (bytesRead % DTYPE_BYTES[source.dtype]);
        if (whole === 0) throw new CheckpointError(`${path.basename(source.file)}: ended within ${spec.name}`);
        const values = decodeFloats(bytes.subarray(0, whole), source.dtype);
        if (!values.every(Number.isFinite)) throw new CheckpointError(`${spec.name} holds a value that is not finite`);
        yield values;
        at += whole;
      }
    } finally {
      await file.close();
    }
  }

  /** Exactly the weights that the configuration asks for, each of its shape. */
  #checkTensors(): void {
    const expected = new Set<string>();
    for (const { name, shape } of this.architecture.weights(this.config)) {
      expected.add(name);
      const found = this.tensors.get(name);
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

/** Name, size and time of change of every file that a compiled model depends on. */
export async function sourceFiles(directory: string): Promise<string[]> {
  const present = new Set(await fs.readdir(directory));
  if (!present.has('config.json')) missing(directory, 'config.json');
  const configs = ['config.json', 'generation_config.json'].filter((file) => present.has(file));
  return [...configs, ...tokenizerFiles(present), ...(await findWeightFiles(directory))];
}

async function findWeightFiles(directory: string): Promise<string[]> {
  const present = new Set(await fs.readdir(directory));
  if (present.has(SINGLE_FILE)) return [SINGLE_FILE];
  if (!present.has(INDEX_FILE)) {
    throw new CheckpointError(
      `${directory}: ${SINGLE_FILE} is missing; a pytorch_model.bin must be converted with Transformers' save_pretrained`,
    );
  }
  const index = await readJson(directory, INDEX_FILE);
  const map = index['weight_map'];
  if (typeof map !== 'object' || map === null) throw new CheckpointError(`${INDEX_FILE}: weight_map is not an object`);
  const files = [...new Set(Object.values(map) as unknown[])].sort();
  return files.map((file) => {
    if (typeof file === 'string' && present.has(file)) return file; // a name in this directory, so no path out of it
    throw new CheckpointError(`${INDEX_FILE}: ${JSON.stringify(file)} is not a file of the checkpoint`);
  });
}

async function addTensors(
  file: string,
  nameOf: (tensor: string) => string | undefined,
  tensors: Map<string, SourceTensor>,
): Promise<void> {
  const header = await readSafetensorsHeader(file, { maxHeaderBytes: MAX_HEADER_BYTES });
  for (const [tensorName, tensor] of header.tensors) {
    const name = nameOf(tensorName);
    if (name === undefined) continue;
    if (tensors.has(name)) throw new CheckpointError(`weight ${name} is there twice`);
    tensors.set(name, { ...tensor, file });
  }
}

async function readJson(directory: string, file: string): Promise<Json> {
  return (await readJsonIfThere(directory, file)) ?? missing(directory, file);
}

async function readJsonIfThere(directory: string, file: string): Promise<Json | undefined> {
  const text = await fs.readFile(path.join(directory, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  } catch {
    // Refused below, as JSON that is no object.
  }
  throw new CheckpointError(`${directory}: ${file} is not a JSON object`);
}

function missing(directory: string, file: string): never {
  throw new CheckpointError(`${directory}: ${file} is missing`);
}
