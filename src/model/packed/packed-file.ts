import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';

import { type ByteRange, type PackedInitializer, readPackedInitializers } from '../../onnx/packed-initializers.js';
import type { Runtime } from '../../runtime/ort/runtime.js';
import { Session } from '../../runtime/ort/session.js';
import { buildDirectory } from '../compile/draft.js';
import { type Manifest, WEIGHTS_FILE } from '../compile/compiled-model.js';
import { packingKey } from './packing-key.js';

/** Changes whenever a file of an older version must be made anew. */
const FORMAT = 'preamble-packed-1';
const INDEX_FILE = 'packed.json';
export const PACKED_FILE = 'packed.bin';
/** Alignment of packed copies, behind the weights: a page, more than any kernel needs. */
const ALIGNMENT = 4096;
/** Bytes that are copied at once. */
const PIECE = 4 << 20;

/** The compiled weights and, behind them, their packed copies, in a file that all processes of a machine map. */
export interface PackedFile {
  /** Holds `PACKED_FILE`. */
  readonly directory: string;
  /** By the names that graphs have for the weights. */
  readonly weights: ReadonlyMap<string, PackedInitializer>;
}

/** What is packed, and where the result goes. */
export interface PackOptions {
  readonly runtime: Runtime;
  /** Directory of the compiled model. */
  readonly model: string;
  readonly manifest: Manifest;
  /** Files of graphs there that have all weights between them; of two that have a weight, the first one's counts. */
  readonly graphs: readonly string[];
  /** Where compiled models go. */
  readonly cache: string;
}

/** `packed.json`. */
interface Index {
  readonly format: string;
  /** Size and time of change of `PACKED_FILE` when it was written: a file with others was damaged. */
  readonly bytes: number;
  readonly mtimeMs: number;
  readonly weights: readonly (readonly [string, PackedInitializer])[];
}

/**
 * Finds the packed weights that the library makes of a model on this processor, or packs them into the cache: once, for all starts. They
 * appear by one rename: whenever the process dies, the next one finds all of them or nothing.
 * @throws the file system's errors, and OnnxRuntimeError, when they cannot be saved
 */
export async function openPackedFile(options: PackOptions): Promise<PackedFile | undefined> {
  const directory = path.join(options.cache, await nameOf(options));
  const read = (): Promise<PackedFile | undefined> => readPackedFile(directory);
  const found = await read();
  if (found !== undefined) return found;
  await buildDirectory(
    directory,
    (draft) => pack(options, draft),
    async () => (await read()) !== undefined,
  );
  return read();
}

async function nameOf({ manifest, model, graphs }: PackOptions): Promise<string> {
  const parts = [FORMAT, manifest.format, manifest.fingerprint, manifest.precision, ...graphs, await packingKey()];
  const hash = createHash('sha256').update(parts.join('\n')).digest('hex');
  const name = path.basename(await fs.realpath(model)).replace(/-[0-9a-f]{16}$/, '');
  return `${name}-packed-${hash.slice(0, 16)}`;
}

/** Undefined unless both files are there, and as they were written. */
async function readPackedFile(directory: string): Promise<PackedFile | undefined> {
  try {
    const index = JSON.parse(await fs.readFile(path.join(directory, INDEX_FILE), 'utf8')) as Index;
    const { size, mtimeMs } = await fs.stat(path.join(directory, PACKED_FILE));
    if (index.format !== FORMAT || index.bytes !== size || index.mtimeMs !== mtimeMs) return undefined;
    return { directory, weights: new Map(index.weights) };
  } catch {
    return undefined; // missing or damaged: made anew
  }
}

async function pack({ runtime, model, manifest, graphs }: PackOptions, draft: string): Promise<void> {
  const output = await fs.open(path.join(draft, PACKED_FILE), 'wx');
  try {
    const values = { offset: 0, bytes: manifest.weightBytes };
    await copy(path.join(model, WEIGHTS_FILE), [values], output, [0]);
    const weights = new Map<string, PackedInitializer>();
    let end = manifest.weightBytes;
    for (const graph of graphs) {
      const saved = { graph: path.join(draft, 'saved.onnx'), weightsFile: 'saved.bin' };
      const file = path.join(draft, saved.weightsFile);
      await (await Session.open(runtime, path.join(model, graph), { saveTo: saved })).dispose();
      for (const [name, { key, packed }] of readPackedInitializers(await fs.readFile(saved.graph))) {
        if (weights.has(name)) continue;
        const offsets = packed.map(({ bytes }) => {
          const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
          end = offset + bytes;
          return offset;
        });
        await copy(file, packed, output, offsets);
        weights.set(name, { key, packed: packed.map(({ bytes }, i) => ({ offset: offsets[i] as number, bytes })) });
      }
      await fs.rm(saved.graph);
      await fs.rm(file);
    }
    await output.sync();
    const { size: bytes, mtimeMs } = await output.stat();
    const index: Index = { format: FORMAT, bytes, mtimeMs, weights: [...weights] };
    await fs.writeFile(path.join(draft, INDEX_FILE), JSON.stringify(index), { flush: true });
  } finally {
    await output.close();
  }
}

/**
 * Copies ranges of a file.
 * @throws Error when the file ends early
 */
async function copy(
  file: string,
  ranges: readonly ByteRange[],
  output: fs.FileHandle,
  offsets: readonly number[],
): Promise<void> {
  const source = await fs.open(file);
  const piece = Buffer.allocUnsafe(PIECE);
  try {
    for (const [index, { offset, bytes }] of ranges.entries()) {
      for (let done = 0; done < bytes;) {
        const { bytesRead } = await source.read(piece, 0, Math.min(PIECE, bytes - done), offset + done);
        if (bytesRead === 0) throw new Error(`${path.basename(file)} ended early`);
        await output.write(piece, 0, bytesRead, (offsets[index] as number) + done);
        done += bytesRead;
      }
    }
  } finally {
    await source.close();
  }
}
