import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';

import { exists, renameDurably, writeDurably } from '../disk/durable.js';
import { streamFile } from '../disk/file-stream.js';
import { mapDiskErrors } from '../disk/store-error.js';
import { FileError } from '../files/errors.js';
import { resultFileId } from '../files/file.js';
import type { FileStore } from '../files/file-store.js';
import type { JobChange, JobProblem, JobRef } from '../jobs/job.js';
import type { JobOutcome } from '../jobs/job-queue.js';
import type { JobResult, JobResultStore, OpenResults } from '../jobs/job-results.js';
import type { JobStore } from '../jobs/job-store.js';
import type { JobWork, RunningJob } from '../jobs/job-worker.js';
import { splitLines } from '../lib/byte-lines.js';
import { StoreError } from '../lib/store-error.js';
import { systemError } from '../lib/system-error.js';
import { type Batch, BATCHES, type BatchOutcome } from './batch.js';
import { BatchRun, type BatchRunDeps } from './batch-run.js';
import { BatchWatch, type StopReason } from './batch-watch.js';
import { type BatchFileLimits, type CheckedFile, checkFile } from './check-file.js';
import { BatchFileError } from './errors.js';
import { DUPLICATE, EXPIRED, type ResultList, ResultWriter } from './line-result.js';
import { isBlank, readRequestLine, type RequestLine } from './request-line.js';

const errors = mapDiskErrors('jobs');

/** Results that are added together, of requests that are not done. */
const TOGETHER = 64;

export interface BatchWorkOptions {
  readonly batches: JobStore<Batch>;
  readonly files: FileStore;
  readonly results: JobResultStore;
  readonly run: BatchRunDeps;
  readonly limits: BatchFileLimits;
  /** Told of each batch that has its files. */
  readonly onEnd: (outcome: BatchOutcome) => void;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/**
 * Work of batches: checks a tenant's file of requests, does them as background work, and stores answers and errors as files. Each result is
 * kept as it comes, so what is left of an interrupted batch are the lines without one.
 */
export class BatchWork implements JobWork<Batch> {
  readonly kind = BATCHES;

  constructor(private readonly options: BatchWorkOptions) {}

  async run({ tenant, job, directory, signal }: RunningJob<Batch>): Promise<JobOutcome> {
    if (job.outcome !== null) return 'done';
    const ref = { tenant, id: job.id };
    const file = await this.#ownCopy(tenant, job, directory);
    const checked = await this.#check(ref, job, file);
    const running = await this.#change(ref, { total: checked.total, inProgress: job.inProgress ?? this.options.now() });
    if (running === undefined) return 'interrupted';
    const results = await this.options.results.open(ref);
    try {
      const outcome = await this.#doLines(ref, running, { file, checked, results, signal });
      if (outcome === 'interrupted') return outcome;
      const counts = await results.counts();
      const done = await this.#change(ref, { outcome, counts, finalizing: this.options.now() });
      return done === undefined ? 'interrupted' : 'done';
    } finally {
      await results.close();
    }
  }

  async finish({ tenant, job }: RunningJob<Batch>): Promise<JobChange<Batch>> {
    const { batches, results, onEnd } = this.options;
    const ref = { tenant, id: job.id };
    const { counts, outcome } = (await batches.get(tenant, job.id)) ?? job;
    const opened = await results.open(ref);
    let change: JobChange<Batch>;
    try {
      change = {
        outputFile: counts['completed'] ? await this.#store(ref, opened, 'output') : null,
        errorFile: counts['failed'] ? await this.#store(ref, opened, 'error') : null,
      };
    } finally {
      await opened.close();
    }
    await results.delete(ref);
    onEnd(outcome ?? 'completed');
    return change;
  }

  problemOf(error: unknown): JobProblem | undefined {
    if (error instanceof StoreError) return { code: error.code, message: error.message, param: null };
    if (error instanceof BatchFileError)
      return { code: 'invalid_batch_file', message: error.message, param: 'input_file_id' };
    if (error instanceof FileError) return { code: error.code, message: error.message, param: error.param };
    return undefined;
  }

  serverFault(error: unknown): JobProblem {
    const disk = systemError(error)?.code;
    const why = disk === undefined ? 'Its log has the details.' : `Its disk failed (${disk}).`;
    return { code: 'batch_failed', message: `The server failed to do this batch. ${why}`, param: null };
  }

  deathProblem(deaths: number): JobProblem {
    const message = `The batch was given up: ${deaths} servers died while they did it.`;
    return { code: 'batch_failed', message, param: null };
  }

  /** Copies the input file, unless an earlier run has. The batch does not need the tenant's own then. Throws `FileError` and `StoreError`. */
  async #ownCopy(tenant: string, { inputFile }: Batch, directory: string): Promise<string> {
    const file = path.join(directory, 'input.jsonl');
    if (await exists(file)) return file;
    const stored = await this.options.files.stream(tenant, inputFile);
    const param = 'input_file_id';
    if (stored === undefined) throw new FileError('file_not_found', `${param}: ${inputFile} was deleted`, param);
    const draft = `${file}.${randomBytes(8).toString('hex')}`; // another process may copy it too
    try {
      await errors.writing(async () => {
        await fs.mkdir(directory, { recursive: true, mode: 0o700 });
        await writeDurably(draft, stored.content, 0o600);
        await renameDurably(draft, file);
      });
    } finally {
      stored.content.destroy();
    }
    return file;
  }

  /** Throws `BatchFileError`, whose problems the batch then has. */
  async #check(ref: JobRef, { endpoint }: Batch, file: string): Promise<CheckedFile> {
    try {
      return await checkFile(await contentOf(file), endpoint, this.options.limits);
    } catch (error) {
      if (error instanceof BatchFileError) await this.#change(ref, { problems: error.problems });
      throw error;
    }
  }

  async #doLines(
    ref: JobRef,
    batch: Batch,
    { file, checked, results, signal }: Lines,
  ): Promise<BatchOutcome | 'interrupted'> {
    const { run: deps, batches, now } = this.options;
    const watch = new BatchWatch({ batches, ref, batch, results, leaving: signal, now });
    const run = new BatchRun(deps, { ...ref, endpoint: batch.endpoint }, results);
    watch.onStop(() => run.stop());
    let reason: StopReason | undefined;
    try {
      await run.run(this.#openLines(batch, { file, checked, results }));
    } finally {
      reason = await watch.close();
    }
    const isLeft = await this.#isLeft(batch, { file, checked, results });
    if (!isLeft) return 'completed';
    if (reason === undefined) throw new Error('a line has no result');
    if (reason === 'expired') await this.#expire(batch, { file, checked, results });
    return reason;
  }

  async #isLeft(batch: Batch, lines: OpenLines): Promise<boolean> {
    for await (const _ of this.#openLines(batch, lines)) return true;
    return false;
  }

  async #expire(batch: Batch, lines: OpenLines): Promise<void> {
    const writer = new ResultWriter(batch.id);
    let left: JobResult[] = [];
    for await (const line of this.#openLines(batch, lines)) {
      left.push(writer.notSent(line, EXPIRED));
      if (left.length < TOGETHER) continue;
      await lines.results.add(left);
      left = [];
    }
    await lines.results.add(left);
  }

  /** Lines without a result. Those that repeat a `custom_id` get theirs here. */
  async *#openLines({ id, endpoint }: Batch, { file, checked, results }: OpenLines): AsyncGenerator<RequestLine, void> {
    const writer = new ResultWriter(id);
    for await (const line of splitLines(await contentOf(file))) {
      if (results.has(line.number) || isBlank(line)) continue;
      const request = readRequestLine(line, endpoint);
      if ('code' in request) throw new BatchFileError([request]);
      if (!checked.duplicates.has(line.number)) yield request;
      else await results.add([writer.notSent(request, DUPLICATE)]);
    }
  }

  /** Makes a file of a list of results, unless it is there; returns its id. */
  async #store({ tenant, id: batch }: JobRef, results: OpenResults, list: ResultList): Promise<string> {
    const { files, now } = this.options;
    const id = resultFileId(batch, list);
    if ((await files.get(tenant, id)) !== undefined) return id;
    const file = { id, filename: `${batch}_${list}.jsonl`, purpose: 'batch_output', created: now() } as const;
    await files.write(tenant, file, results.read(list));
    return id;
  }

  #change({ tenant, id }: JobRef, change: JobChange<Batch>): Promise<Batch | undefined> {
    return this.options.batches.change(tenant, id, ['running'], change);
  }
}

/** Lines of a batch's file, and what is known of them. */
interface OpenLines {
  readonly file: string;
  readonly checked: CheckedFile;
  readonly results: OpenResults;
}

interface Lines extends OpenLines {
  /** Aborted when the process is to end, or the batch is gone. */
  readonly signal: AbortSignal;
}

async function contentOf(file: string): Promise<AsyncIterable<Uint8Array>> {
  const stream = await streamFile(file);
  if (stream === undefined) throw new Error('the copy of a batch file is gone');
  return stream.content as AsyncIterable<Uint8Array>;
}
