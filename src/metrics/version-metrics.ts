import { Counter, Histogram, type Registry } from 'prom-client';

import type { ObservedEnd, SequenceObserver } from '../engine/observer.js';

/** Versions whose series are kept; those that were used least recently go. */
const MAX_VERSIONS = 100;
/** Few bounds, because every version has its own series: in seconds. */
const BUCKETS = [0.1, 0.3, 1, 3, 10, 30, 100];

/**
 * Series of versions that share a name's requests, so that an old and a new one can be compared. Counts are per sequence. The label
 * `version_id` is opaque, and no more than 100 are kept, however many prefixes have shares.
 */
export class VersionMetrics {
  readonly #ended: Counter;
  readonly #firstToken: Histogram;
  readonly #latency: Histogram;
  /** Reasons with which sequences of a version ended, by its id; the least recently used id first. */
  readonly #known = new Map<string, Set<string>>();

  constructor(registry: Registry) {
    const registers = [registry];
    const labelNames = ['version_id'];
    this.#ended = new Counter({
      name: 'preamble_prefix_version_success_total',
      help: 'Sequences of versions that share a name, by the way they ended.',
      labelNames: [...labelNames, 'finished_reason'],
      registers,
    });
    this.#firstToken = new Histogram({
      name: 'preamble_prefix_version_time_to_first_token_seconds',
      help: 'From submission to the first token, of versions that share a name.',
      buckets: BUCKETS,
      labelNames,
      registers,
    });
    this.#latency = new Histogram({
      name: 'preamble_prefix_version_e2e_latency_seconds',
      help: 'From submission to the end, of versions that share a name.',
      buckets: BUCKETS,
      labelNames,
      registers,
    });
  }

  /** Observes one sequence, which begins to wait now; of background work no times. @param id a `versionId` */
  sequence(id: string): SequenceObserver {
    const submitted = performance.now();
    let firstTokenSeconds: number | undefined;
    return {
      admitted: () => undefined,
      firstToken: () => {
        firstTokenSeconds = (performance.now() - submitted) / 1000;
      },
      ended: ({ reason, seconds }: ObservedEnd) => {
        this.#use(id).add(reason);
        this.#ended.inc({ version_id: id, finished_reason: reason });
        if (seconds === undefined) return; // background work
        if (firstTokenSeconds !== undefined) this.#firstToken.observe({ version_id: id }, firstTokenSeconds);
        this.#latency.observe({ version_id: id }, seconds);
      },
    };
  }

  /** Makes an id the most recently used one. */
  #use(id: string): Set<string> {
    const reasons = this.#known.get(id) ?? new Set();
    this.#known.delete(id);
    this.#known.set(id, reasons);
    const [oldest] = this.#known;
    if (this.#known.size > MAX_VERSIONS && oldest) this.#forget(...oldest);
    return reasons;
  }

  #forget(id: string, reasons: ReadonlySet<string>): void {
    this.#known.delete(id);
    this.#firstToken.remove({ version_id: id });
    this.#latency.remove({ version_id: id });
    for (const reason of reasons) this.#ended.remove({ version_id: id, finished_reason: reason });
  }
}
