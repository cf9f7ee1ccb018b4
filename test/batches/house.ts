import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { onTestFinished } from 'vitest';

import { type Batch, BATCHES, type BatchEndpoint } from '../../src/batches/batch.js';
import type { BatchRunDeps } from '../../src/batches/batch-run.js';
import { BatchWork } from '../../src/batches/batch-work.js';
import { Batches } from '../../src/batches/batches.js';
import { LineWindow } from '../../src/batches/line-window.js';
import { Engine } from '../../src/engine/engine.js';
import type { GenerationRequest } from '../../src/engine/request.js';
import { DiskFileStore } from '../../src/files/disk-file-store.js';
import { Files } from '../../src/files/files.js';
import { DiskJobResults } from '../../src/jobs/disk-job-results.js';
import { DiskJobStore } from '../../src/jobs/disk-job-store.js';
import type { JobOutcome } from '../../src/jobs/job-queue.js';
import type { JobStore } from '../../src/jobs/job-store.js';
import { JobWorker } from '../../src/jobs/job-worker.js';
import { PrefixError } from '../../src/prefix/errors.js';
import { toApiError } from '../../src/server/errors.js';
import { NO_LIMITS, type TenantLimits } from '../../src/tenancy/limits.js';
import { MemoryRateLimiter } from '../../src/tenancy/memory-rate-limiter.js';
import { TemplateSandbox } from '../../src/tokenizer/template-sandbox.js';
import { FakeRunner } from '../engine/fake-runner.js';
import { base } from '../server/harness.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { byteTokenizer } from '../server/scripted-engine.js';

/** What an endpoint has answered: what tests look at, whether it is an answer or an error. */
interface ResultBody {
  readonly object: string;
  readonly choices: readonly { readonly text: string }[];
  readonly error: { readonly code: string; readonly param: string | null };
}

/** A line of an output or error file. */
export interface ResultLine {
  readonly id: string;
  readonly custom_id: string;
  readonly response: { readonly status_code: number; readonly body: ResultBody } | null;
  readonly error: { readonly code: string } | null;
}

/** A line of a batch's file that asks for 4 tokens. */
export function requestLine(custom_id: string, body: unknown = {}, url: BatchEndpoint = '/v1/completions'): string {
  const whole = typeof body === 'object' && body !== null && !Array.isArray(body);
  const usual = { model: 'tiny', prompt: `${custom_id}:`, max_tokens: 4, temperature: 0 };
  return JSON.stringify({ custom_id, method: 'POST', url, body: whole ? { ...usual, ...body } : body });
}

/** Batches on disk, on the real engine with a fake runner of four slots. What stands in the options is another's than usual. */
export async function batchHouse(
  options: { limits?: Partial<TenantLimits>; window?: number; now?: () => number; deps?: Partial<BatchRunDeps> } = {},
) {
  const { now = Date.now, window = 8, deps } = options;
  const directory = await temporaryDirectory();
  const running = path.join(directory, 'running');
  const fileStore = await DiskFileStore.open(directory);
  const jobs = await DiskJobStore.open<Batch>(directory, BATCHES);
  const results = new DiskJobResults(running);
  const files = new Files({ store: fileStore, quota: { maxFiles: 100, maxBytes: 1e9 }, now: Date.now });
  const queue = { add: async () => undefined };
  const service = new Batches({ files, store: jobs, results, queue, fingerprint: 'f', maxUnfinished: 9, now });
  const { contextLength, vocabularySize } = base;
  const runner = new FakeRunner({ contextLength, vocabularySize });
  const engine = new Engine({ runner, tokenizer: byteTokenizer, eosTokenIds: [0] });
  onTestFinished(async () => {
    await engine.idle();
    engine.checkIntegrity();
  });
  const submitted: GenerationRequest[] = [];
  const ends: string[] = [];
  const library = {
    nameOf: async (_: string, name: string) => name,
    load: async () => {
      throw new PrefixError('prefix_not_found', 'none');
    },
  };
  const templates = new TemplateSandbox({});
  onTestFinished(() => templates.dispose());
  const run: BatchRunDeps = {
    engine: {
      submit: (request) => {
        submitted.push(request);
        return engine.submit(request);
      },
      submitBeams: (request) => engine.submitBeams(request),
      submitBlend: (request) => engine.submitBlend(request),
      countFitting: (requests) => engine.countFitting(requests),
    },
    tokenizer: byteTokenizer,
    templates,
    library,
    base,
    maxChoices: 8,
    now: Date.now,
    limiter: new MemoryRateLimiter(),
    tenancy: {
      callerOf: async (tenant) => ({ tenant, created: null, limits: { ...NO_LIMITS, ...options.limits } }),
    },
    window: new LineWindow(window),
    failureOf: (error) => {
      const refusal = toApiError(error);
      return { status: refusal.status, body: refusal.toEnvelope() };
    },
    onResult: () => undefined,
    ...deps,
  };
  const limits = { maxLines: 1000, maxLineBytes: 10_000 };
  const onEnd = (outcome: string): number => ends.push(outcome);
  let looks = 0;
  const watched: JobStore<Batch> = Object.assign(Object.create(jobs) as JobStore<Batch>, {
    get: (tenant: string, id: string) => (looks++, jobs.get(tenant, id)),
    change: (...change: Parameters<JobStore<Batch>['change']>) => (looks++, jobs.change(...change)),
  });
  const work = new BatchWork({ batches: watched, files: fileStore, results, run, limits, onEnd, now });
  const observer = {
    jobStarted: () => undefined,
    jobEnded: (end: string) => ends.push(end),
    jobBroke: () => ends.push('broke'),
  };
  const worker = new JobWorker({ store: jobs, work, directory: running, observer, now });

  /** Uploads lines and makes a batch of them. */
  const create = async (lines: readonly string[], tenant = 't', endpoint: BatchEndpoint = '/v1/completions') => {
    const file = await files.add(tenant, 'lines.jsonl', 'batch', Buffer.from(lines.join('\n')));
    return service.create(tenant, { endpoint, inputFile: file.id, metadata: null });
  };
  const work_ = (id: string, leaving = new AbortController().signal, tenant = 't'): Promise<JobOutcome> =>
    worker.run({ tenant, id }, leaving);
  /** The lines of a file of results; none where there is no file. */
  const readLines = async (file: string | null, tenant = 't'): Promise<ResultLine[]> => {
    if (file === null) return [];
    const text = Buffer.from((await fileStore.content(tenant, file))!).toString();
    return text.split('\n').slice(0, -1).map((line) => JSON.parse(line) as ResultLine); // prettier-ignore
  };
  /** The batch with its results. */
  const ended = async (id: string, tenant = 't') => {
    const batch = await service.get(tenant, id);
    const [output, errors] = [await readLines(batch.outputFile, tenant), await readLines(batch.errorFile, tenant)];
    return { batch, output, errors };
  };
  const leftOnDisk = (): Promise<string[]> => fs.readdir(running).catch(() => []);
  /** Waits, within a step, until whoever watches the running batch has looked at its record. */
  const untilLooked = async (): Promise<void> => {
    const target = looks + 2; // one may be under way
    while (looks < target) await delay(5);
  };
  return { untilLooked, service, files, engine, runner, submitted, ends, create, work: work_, ended, leftOnDisk };
}
