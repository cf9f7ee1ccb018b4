import { createHash, hash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { pipeline, Transform } from 'node:stream';

import { ifExists, syncDirectory, writeDurably } from '../../disk/durable.js';
import { type FileStream, streamFile } from '../../disk/file-stream.js';
import { CONFIG_FILE, MODEL_FILE, TEMPLATE_FILE } from '../adapter/format.js';
import { PrefixError } from '../errors.js';
import { KV_FILE, kvFileOf, type PrefixInfo, type PrefixUpload, type StoredFileName } from '../store.js';
import { fileSums, type FileSums, textVersion } from '../version.js';

const RECORD_FILE = 'prefix.json';
/** Bytes of a file that is only checked. */
const SUMMED_AT_ONCE = 2 ** 20;

/** `prefix.json`: the description of a version, and what was stored with it. */
export interface VersionRecord extends PrefixInfo {
  /** Source text of a text prefix. */
  readonly text?: string | undefined;
  readonly sha256?: FileSums;
}

/** Writes a version into an empty directory, and returns once it is on the disk. */
export async function writeVersion(directory: string, upload: PrefixUpload): Promise<void> {
  const { info, files, kv, text } = upload;
  await writeDurably(path.join(directory, CONFIG_FILE), files.config);
  await writeDurably(path.join(directory, MODEL_FILE), files.model);
  if (files.template !== undefined) await writeDurably(path.join(directory, TEMPLATE_FILE), files.template);
  if (kv !== undefined) await writeDurably(path.join(directory, KV_FILE), kv);
  await writeDurably(path.join(directory, RECORD_FILE), encode({ ...info, text, sha256: fileSums(upload) }));
  await syncDirectory(directory);
}

/** The record of a version; undefined when there is none. Throws `prefix_damaged`. */
export async function readVersionRecord(directory: string): Promise<VersionRecord | undefined> {
  const text = await ifExists(fs.readFile(path.join(directory, RECORD_FILE), 'utf8'));
  if (text === undefined) return undefined;
  try {
    const record = JSON.parse(text) as VersionRecord | null;
    if (typeof record?.version === 'string') return record;
  } catch {
    // Not JSON: refused below.
  }
  throw new PrefixError('prefix_damaged', 'name: the stored record of this version is damaged');
}

/** Whether every file of a version is as it was written. Reads all of them. */
export async function isWholeVersion(directory: string, version: string): Promise<boolean> {
  const record = await undamagedRecord(directory);
  const { kind, text = '', sha256 } = record ?? {};
  if (record?.version !== version || sha256 === undefined) return false;
  if (kind === 'text' && textVersion(text) !== version) return false;
  const found = await Promise.all(
    Object.entries(sha256).map(async ([file, sum]) => (await sumOf(path.join(directory, file))) === sum),
  );
  return found.every(Boolean);
}

/**
 * Replaces the files of a version that are not as they were written, each by one rename from `draft`, which has the same
 * version; the record comes last. What is whole stays, so a process killed in between damages nothing more.
 */
export async function repairVersion(directory: string, draft: string): Promise<void> {
  const old = (await undamagedRecord(directory))?.sha256 ?? {};
  const fresh = (await readVersionRecord(draft)) as VersionRecord;
  const sums: Record<string, string> = { ...fresh.sha256 };
  for (const file of Object.keys(sums) as StoredFileName[]) {
    const known = old[file];
    if (known !== undefined && (await sumOf(path.join(directory, file))) === known) sums[file] = known;
    else await fs.rename(path.join(draft, file), path.join(directory, file));
  }
  const record = path.join(draft, 'record');
  await writeDurably(record, encode({ ...fresh, sha256: sums }));
  await fs.rename(record, path.join(directory, RECORD_FILE));
  await syncDirectory(directory);
}

/** Whether a version was written with such a file. */
export async function hadFile(directory: string, info: PrefixInfo, file: StoredFileName): Promise<boolean> {
  const sums = (await undamagedRecord(directory))?.sha256;
  if (sums !== undefined) return sums[file] !== undefined;
  if (file === TEMPLATE_FILE) return info.template === true;
  return file !== KV_FILE || kvFileOf(info) === KV_FILE;
}

/** Reads a file of a version; undefined when it is not there. Throws `prefix_damaged`, where the record has a sum to tell by. */
export async function readVersionFile(directory: string, file: StoredFileName): Promise<Uint8Array | undefined> {
  const content = await ifExists(fs.readFile(path.join(directory, file)));
  const sum = content && (await undamagedRecord(directory))?.sha256?.[file];
  if (content !== undefined && sum !== undefined && hash('sha256', content) !== sum) throw damaged(directory, file);
  return content;
}

/** As `readVersionFile`, in pieces: of a damaged file, the last one is an error instead. */
export async function streamVersionFile(directory: string, file: StoredFileName): Promise<FileStream | undefined> {
  const sum = (await undamagedRecord(directory))?.sha256?.[file];
  const opened = await streamFile(path.join(directory, file));
  if (opened === undefined || sum === undefined) return opened;
  const content = untilDamaged(sum, () => damaged(directory, file));
  pipeline(opened.content, content, () => undefined); // an error reaches whoever reads `content`
  return { bytes: opened.bytes, content };
}

/** The error for a damaged or missing file of a version. */
export function damaged(directory: string, file: StoredFileName): PrefixError {
  return new PrefixError(
    'prefix_damaged',
    `name: version ${path.basename(directory).slice(0, 12)} has a damaged ${file}`,
  );
}

/** Lets a file through, but for its last piece where its sum is another. */
function untilDamaged(sum: string, error: () => Error): Transform {
  const found = createHash('sha256');
  let held: Buffer | undefined;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      found.update(chunk);
      done(null, held);
      held = chunk;
    },
    flush(done) {
      if (found.digest('hex') === sum) done(null, held);
      else done(error());
    },
  });
}

/** The record of a version; undefined also when it is damaged. */
export async function undamagedRecord(directory: string): Promise<VersionRecord | undefined> {
  try {
    return await readVersionRecord(directory);
  } catch (error) {
    if (error instanceof PrefixError) return undefined;
    throw error;
  }
}

/** sha256 of a file; undefined when it is not there. */
async function sumOf(file: string): Promise<string | undefined> {
  const handle = await ifExists(fs.open(file));
  if (handle === undefined) return undefined;
  const sum = createHash('sha256');
  for await (const chunk of handle.createReadStream({ highWaterMark: SUMMED_AT_ONCE })) sum.update(chunk as Buffer);
  return sum.digest('hex');
}

function encode(record: VersionRecord): string {
  return JSON.stringify(record, undefined, 2);
}
