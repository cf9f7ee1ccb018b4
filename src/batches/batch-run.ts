import { setTimeout as delay } from 'node:timers/promises';

import type { Completion } from '../completions/completion.js';
import { requestContext, type RequestContext } from '../completions/context.js';
import { RateLimitError } from '../completions/errors.js';
import { EngineError } from '../engine/errors.js';
import type { JobResult, OpenResults } from '../jobs/job-results.js';
import { StoreError } from '../lib/store-error.js';
import type { Tenancy } from '../tenancy/tenancy.js';
import { type AnswerDeps, answerLine, startLine } from './answer-line.js';
import type { Batch } from './batch.js';
import { type LineFailure, type ResultList, ResultWriter } from './line-result.js';
import type { LinePermit, LineWindow } from './line-window.js';
import type { RequestLine } from './request-line.js';

/** Attempts at a request that fails through a fault of the server. */
const ATTEMPTS = 3;
/** Pause before a request is tried again that found no room, or whose prefix could not be read. Milliseconds. */
const FULL_PAUSE_MS = 200;
const AWAY_PAUSE_MS = 1000;

export interface BatchRunDeps extends AnswerDeps {
  readonly tenancy: Pick<Tenancy, 'callerOf'>;
  /** Shared by all batches of the process. */
  readonly window: LineWindow;
  /** How the endpoint answers an error of a request. */
  readonly failureOf: (error: unknown) => LineFailure;
  /** Told of each request that has an answer or an error. */
  readonly onResult: (list: ResultList) => void;
}

/** The requests of one batch, while they are done. */
export class BatchRun {
  readonly #writer: ResultWriter;
  /** Aborted when no more requests are to be done. */
  readonly #stop = new AbortController();
  /** One for each line under way: a signal that lives as long as the batch would keep what listens to it. */
  readonly #lines = new Set<AbortController>();
  readonly #ends = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(
    private readonly deps: BatchRunDeps,
    private readonly batch: Pick<Batch, 'id' | 'endpoint'> & { readonly tenant: string },
    private readonly results: OpenResults,
  ) {
    this.#writer = new ResultWriter(batch.id);
  }

  /** Gives up the requests under way, and starts no more. */
  stop(): void {
    this.#stop.abort();
    for (const line of this.#lines) line.abort();
  }

  /**
   * Does requests, in order, as many at a time as the window lets. One starts after the other: while one waits for its tenant's rate limits,
   * none behind it is read. Settles when all have a result, or after `stop` when none is under way.
   * @throws what prevented that a result was kept
   */
  async run(lines: AsyncIterable<RequestLine>): Promise<void> {
    const { signal } = this.#stop;
    try {
      for await (const line of lines) {
        if (signal.aborted) break;
        await new Promise<void>((started) => this.#begin(line, started));
      }
    } catch (error) {
      this.#fail(error);
    }
    await Promise.all(this.#ends);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** @param started called when the next line may start */
  #begin(line: RequestLine, started: () => void): void {
    const end = this.#do(line, started)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        started();
        this.#ends.delete(end);
      });
    this.#ends.add(end);
  }

  async #do(line: RequestLine, started: () => void): Promise<void> {
    const permit = this.deps.window.permit(this.batch.tenant);
    const gone = new AbortController();
    this.#lines.add(gone);
    if (this.#stop.signal.aborted) gone.abort();
    try {
      const result = await this.#resultOf(line, permit, gone.signal, started);
      if (result === undefined) return;
      await this.results.add([result]);
      this.deps.onResult(result.list as ResultList);
    } finally {
      this.#lines.delete(gone);
      permit.release();
    }
  }

  /** Undefined for a request that was given up. */
  async #resultOf(
    line: RequestLine,
    permit: LinePermit,
    gone: AbortSignal,
    started: () => void,
  ): Promise<JobResult | undefined> {
    const { deps, batch } = this;
    const context = requestContext(gone, undefined, 'background');
    try {
      await permit.acquire(gone);
      for (let attempt = 1; ; attempt++) {
        try {
          const completion = await this.#start(line, permit, context);
          started();
          return this.#writer.answered(line, await answerLine(deps, batch.endpoint, completion, context));
        } catch (error) {
          if (!isServerFault(error) || attempt === ATTEMPTS || gone.aborted) throw error;
        }
      }
    } catch (error) {
      return gone.aborted ? undefined : this.#writer.refused(line, deps.failureOf(error));
    }
  }

  /** Starts a request as soon as its tenant's limits, the queue and the store let it. While it waits for those, others have its permit. */
  async #start({ body }: RequestLine, permit: LinePermit, context: RequestContext): Promise<Completion> {
    const { deps, batch } = this;
    for (;;) {
      try {
        const caller = await deps.tenancy.callerOf(batch.tenant);
        return await startLine(deps, batch.endpoint, caller, body, context);
      } catch (error) {
        const pause = pauseAfter(error);
        if (pause === undefined) throw error;
        permit.release();
        await delay(pause, undefined, { signal: context.gone });
        await permit.acquire(context.gone);
      }
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.stop();
  }
}

/** Milliseconds after which a request may pass that did not; undefined for one that is refused for what it is. */
function pauseAfter(error: unknown): number | undefined {
  if (error instanceof RateLimitError) return error.retryAfterMs && Math.max(1, error.retryAfterMs);
  if (error instanceof StoreError) return AWAY_PAUSE_MS;
  if (!(error instanceof EngineError)) return undefined;
  const waits = error.code === 'queue_full' || error.code === 'tenant_queue_full' || error.code === 'shutting_down';
  return waits ? FULL_PAUSE_MS : undefined;
}

function isServerFault(error: unknown): boolean {
  return error instanceof EngineError && error.code === 'runner_failed';
}
