import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists } from '../disk/durable.js';
import { mapDiskErrors } from '../disk/store-error.js';
import { splitLines } from '../lib/byte-lines.js';
import type { JobRef } from './job.js';
import { addCounts, type Counts, type JobResult, type JobResultStore, type OpenResults } from './job-results.js';

const errors = mapDiskErrors('jobs');
const [TAB, LINE_BREAK] = ['\t', '\n'];
/** Bytes of results that are read together. */
const READ_BYTES = 64 * 1024;

/**
 * Results of jobs in files, one for each job, in the directory that the job has while it runs. A result is one line:
 *
 *     NUMBER <tab> LIST <tab> COUNTS as JSON <tab> TEXT
 *
 * Results are appended, so the file itself says which parts are done: there is no second place that could disagree with it. A process
 * that was killed may leave half a line, which is cut off.
 */
export class DiskJobResults implements JobResultStore {
  /** @param directory where jobs have their files while they run, a directory for each */
  constructor(private readonly directory: string) {}

  async open({ id }: JobRef): Promise<OpenResults> {
    return errors.writing(async () => {
      await fs.mkdir(path.join(this.directory, id), { recursive: true, mode: 0o700 });
      return ResultFile.open(this.#file(id));
    });
  }

  async delete({ id }: JobRef): Promise<void> {
    await errors.writing(() => fs.rm(this.#file(id), { force: true }));
  }

  #file(id: string): string {
    return path.join(this.directory, id, 'results');
  }
}

class ResultFile implements OpenResults {
  readonly #numbers = new Set<number>();
  readonly #sums: Record<string, number> = {};
  #pending: JobResult[] = [];
  /** Of the results that are pending; undefined: there are none. */
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();

  private constructor(
    private readonly file: string,
    private readonly handle: fs.FileHandle,
  ) {}

  static async open(file: string): Promise<ResultFile> {
    const handle = await fs.open(file, 'a+', 0o600);
    try {
      const opened = new ResultFile(file, handle);
      await handle.truncate(await opened.#scan());
      return opened;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  has(number: number): boolean {
    return this.#numbers.has(number);
  }

  counts(): Promise<Counts> {
    return Promise.resolve({ ...this.#sums });
  }

  /**
   * Results that come while others are written go together into the next write. After a write that fails, the file may end with a part of
   * a line: nothing is added until it is opened again.
   */
  async add(results: readonly JobResult[]): Promise<void> {
    this.#pending.push(...results);
    this.#next ??= this.#last = this.#last.then(() => this.#write());
    await this.#next;
  }

  async *read(list: string): AsyncGenerator<Uint8Array, void> {
    let texts: Buffer[] = [];
    let length = 0;
    for await (const { bytes } of this.#lines()) {
      const head = readHead(bytes);
      if (head?.list !== list) continue;
      texts.push(bytes.subarray(head.length), Buffer.from(LINE_BREAK));
      length += bytes.length;
      if (length < READ_BYTES) continue;
      yield Buffer.concat(texts);
      [texts, length] = [[], 0];
    }
    if (length > 0) yield Buffer.concat(texts);
  }

  async close(): Promise<void> {
    await this.#last.catch(() => undefined);
    await this.handle.close();
  }

  async #write(): Promise<void> {
    this.#next = undefined;
    const results = this.#pending.filter(({ number }) => !this.#numbers.has(number));
    this.#pending = [];
    await errors.writing(async () => {
      await this.handle.appendFile(results.map(lineOf).join(''));
      await this.handle.datasync();
    });
    for (const { number, counts } of results) this.#note(number, counts);
  }

  #note(number: number, counts: Counts): void {
    this.#numbers.add(number);
    addCounts(this.#sums, counts);
  }

  /** Notes what the file has; returns where its last whole line ends. */
  async #scan(): Promise<number> {
    let end = 0;
    for await (const line of this.#lines()) {
      const head = line.isEnded ? readHead(line.bytes) : undefined;
      if (head === undefined) break;
      this.#note(head.number, head.counts);
      end = line.end;
    }
    return end;
  }

  async *#lines(): ReturnType<typeof splitLines> {
    const handle = await ifExists(fs.open(this.file));
    if (handle !== undefined) yield* splitLines(handle.createReadStream({ highWaterMark: READ_BYTES }));
  }
}

function lineOf({ number, list, counts, text }: JobResult): string {
  return [number, list, JSON.stringify(counts), text].join(TAB) + LINE_BREAK;
}

interface Head {
  readonly number: number;
  readonly list: string;
  readonly counts: Counts;
  /** Bytes before the text. */
  readonly length: number;
}

/** Reads what stands before a result's text; undefined where it is damaged. */
function readHead(line: Buffer): Head | undefined {
  let length = 0;
  const fields = Array.from({ length: 3 }, () => {
    const tab = line.indexOf(TAB, length);
    const field = tab < 0 ? '' : line.toString('latin1', length, tab);
    length = tab + 1;
    return field;
  });
  const [number = '', list = '', counts = ''] = fields;
  try {
    if (!/^[1-9]\d*$/.test(number) || list === '') return undefined;
    return { number: Number(number), list, counts: JSON.parse(counts) as Counts, length };
  } catch {
    return undefined;
  }
}
