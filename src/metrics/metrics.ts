import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

import type { EngineObserver, EngineStats, ObservedEnd, ObservedStep, SequenceObserver } from '../engine/observer.js';
import { countBuckets, SECONDS_BUCKETS } from './buckets.js';
import type { EngineCounts } from './feed/engine-event.js';
import { VersionMetrics } from './version-metrics.js';

/** Labels and sources of the series. */
export interface MetricsOptions {
  /** Id of the base model: the label `model_name` of every series. */
  readonly modelName: string;
  readonly contextLength: number;
  /** Reads the engine's state; called at each scrape. */
  readonly engine: () => EngineStats;
  /** Reads the bytes of decoded prefixes in memory; called at each scrape. */
  readonly cachedBytes: () => number;
}

/**
 * All Prometheus series of the process. Counts are per sequence, not per API request: a request with `n` choices of
 * one prompt counts `n` times. Background work counts, and its times are left out: nobody waits for it.
 */
export class Metrics implements EngineObserver {
  readonly #registry = new Registry();
  readonly #promptTokens: Counter;
  readonly #generationTokens: Counter;
  readonly #successes: Counter;
  readonly #errors: Counter;
  readonly #queueTime: Histogram;
  readonly #firstToken: Histogram;
  readonly #nextToken: Histogram;
  readonly #latency: Histogram;
  readonly #requestPromptTokens: Histogram;
  readonly #requestGenerationTokens: Histogram;
  readonly #stepTime: Histogram;
  readonly #stepRows: Histogram;
  readonly #prefixQueries: Counter;
  readonly #prefixHits: Counter;
  readonly #coldLoads: Histogram;
  readonly #promptQueries: Counter;
  readonly #promptHits: Counter;
  readonly #drafts: Counter;
  readonly #draftTokens: Counter;
  readonly #acceptedTokens: Counter;
  readonly #acceptedPerPosition: Counter;
  readonly #jobsRunning: Gauge;
  readonly #jobs: Counter;
  readonly #batchesRunning: Gauge;
  readonly #batches: Counter;
  readonly #batchRequests: Counter;
  readonly #versions: VersionMetrics;

  constructor(options: MetricsOptions) {
    const { contextLength, modelName } = options;
    this.#registry.setDefaultLabels({ model_name: modelName });
    collectDefaultMetrics({ register: this.#registry });
    const { firstToken, nextToken, request, step, load } = SECONDS_BUCKETS;
    const tokens = countBuckets(contextLength);
    this.#addGauges(options);
    this.#promptTokens = this.#counter('prompt_tokens_total', 'Prompt tokens of finished sequences.');
    this.#generationTokens = this.#counter('generation_tokens_total', 'Tokens generated.');
    this.#successes = this.#counter('request_success_total', 'Sequences by the way they ended.', ['finished_reason']);
    this.#errors = this.#counter('request_errors_total', 'Answers that were errors.', ['code']);
    this.#queueTime = this.#histogram('request_queue_time_seconds', 'Waiting for a slot.', request);
    this.#firstToken = this.#histogram(
      'time_to_first_token_seconds',
      'From submission to the first token.',
      firstToken,
    );
    this.#nextToken = this.#histogram('inter_token_latency_seconds', 'Between two tokens of a sequence.', nextToken);
    this.#latency = this.#histogram('e2e_request_latency_seconds', 'From submission to the end.', request);
    this.#requestPromptTokens = this.#histogram('request_prompt_tokens', 'Prompt tokens of a sequence.', tokens);
    this.#requestGenerationTokens = this.#histogram('request_generation_tokens', 'Tokens of a sequence.', tokens);
    this.#stepTime = this.#histogram('step_seconds', 'One forward pass, by kind.', step, ['kind']);
    this.#stepRows = this.#histogram('step_rows', 'Decode rows of a forward pass.', countBuckets(1000));
    this.#prefixQueries = this.#counter('prefix_kv_queries_total', 'Prefixes that were asked for.');
    this.#prefixHits = this.#counter('prefix_kv_hits_total', 'Those whose keys and values were in memory.');
    const asked = 'Prompt tokens that the prompt cache was asked for.';
    this.#promptQueries = this.#counter('prompt_cache_queries_total', asked);
    this.#promptHits = this.#counter('prompt_cache_hits_total', 'Prompt tokens that it had.');
    this.#drafts = this.#counter('spec_decode_num_drafts_total', 'Drafts that were verified.');
    this.#draftTokens = this.#counter('spec_decode_num_draft_tokens_total', 'Tokens of drafts.');
    this.#acceptedTokens = this.#counter('spec_decode_num_accepted_tokens_total', 'Those that the model chose.');
    const perPosition = 'Accepted tokens by their place in the draft.';
    this.#acceptedPerPosition = this.#counter('spec_decode_num_accepted_tokens_per_pos_total', perPosition, [
      'position',
    ]);
    this.#jobsRunning = new Gauge({
      name: 'preamble_fine_tuning_jobs_running',
      help: 'Fine-tuning jobs that this process trains.',
      registers: [this.#registry],
    });
    this.#jobs = this.#counter('fine_tuning_jobs_total', 'Fine-tuning jobs by the way they ended here.', ['status']);
    this.#batchesRunning = new Gauge({
      name: 'preamble_batches_running',
      help: 'Batches that this process does.',
      registers: [this.#registry],
    });
    this.#batches = this.#counter('batches_total', 'Batches by the way they ended here.', ['status']);
    const requests = 'Requests of batches by the file that their results are in.';
    this.#batchRequests = this.#counter('batch_requests_total', requests, ['list']);
    this.#coldLoads = this.#histogram('prefix_kv_cold_load_seconds', 'Loading a prefix from the store.', load);
    this.#versions = new VersionMetrics(this.#registry);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text of a scrape. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** What some of the series have counted since the process began. */
  async counts(): Promise<EngineCounts> {
    const counters = {
      promptTokens: this.#promptTokens,
      generatedTokens: this.#generationTokens,
      prefixQueries: this.#prefixQueries,
      prefixHits: this.#prefixHits,
      promptCacheQueries: this.#promptQueries,
      promptCacheHits: this.#promptHits,
      drafts: this.#drafts,
      draftTokens: this.#draftTokens,
      acceptedTokens: this.#acceptedTokens,
    } satisfies Record<keyof EngineCounts, Counter>;
    const entries = Object.entries(counters).map(async ([name, counter]) => {
      const { values } = await counter.get();
      return [name, values.reduce((sum, { value }) => sum + value, 0)] as const;
    });
    return Object.fromEntries(await Promise.all(entries)) as unknown as EngineCounts;
  }

  admitted(seconds: number): void {
    this.#queueTime.observe(seconds);
  }

  promptLookedUp(tokens: number, cached: number): void {
    this.#promptQueries.inc(tokens);
    this.#promptHits.inc(cached);
  }

  stepped({ kind, rows, seconds }: ObservedStep): void {
    this.#stepTime.observe({ kind }, seconds);
    if (rows > 0) this.#stepRows.observe(rows);
  }

  firstToken(seconds: number | undefined): void {
    this.#generationTokens.inc();
    if (seconds !== undefined) this.#firstToken.observe(seconds);
  }

  nextToken(seconds: number | undefined): void {
    this.#generationTokens.inc();
    if (seconds !== undefined) this.#nextToken.observe(seconds);
  }

  verified(drafted: number, accepted: number): void {
    this.#drafts.inc();
    this.#draftTokens.inc(drafted);
    this.#acceptedTokens.inc(accepted);
    for (let position = 0; position < accepted; position++) this.#acceptedPerPosition.inc({ position });
  }

  ended({ reason, promptTokens, generatedTokens, seconds }: ObservedEnd): void {
    this.#successes.inc({ finished_reason: reason });
    this.#promptTokens.inc(promptTokens);
    this.#requestPromptTokens.observe(promptTokens);
    this.#requestGenerationTokens.observe(generatedTokens);
    if (seconds !== undefined) this.#latency.observe(seconds);
  }

  /**
   * Counts an answer that was an error.
   * @param code a code of the server's error table
   */
  failed(code: string): void {
    this.#errors.inc({ code });
  }

  /**
   * Counts a look-up of a prefix.
   * @param held whether its keys and values were in memory
   */
  prefixLookedUp(held: boolean): void {
    this.#prefixQueries.inc();
    if (held) this.#prefixHits.inc();
  }

  /** Records the time to load a prefix's keys and values from the store. */
  prefixLoaded(seconds: number): void {
    this.#coldLoads.observe(seconds);
  }

  /** Observes one sequence of a version that shares its name's requests. @param id a `versionId` */
  versionSequence(id: string): SequenceObserver {
    return this.#versions.sequence(id);
  }

  /** Counts a fine-tuning job that begins to train in this process. */
  jobStarted(): void {
    this.#jobsRunning.inc();
  }

  /**
   * Counts a fine-tuning job that ended in this process.
   * @param status OpenAI's status, or `interrupted` for a job that will be resumed
   */
  jobEnded(status: string): void {
    this.#jobsRunning.dec();
    this.#jobs.inc({ status });
  }

  /** Counts a batch that this process begins with. */
  batchStarted(): void {
    this.#batchesRunning.inc();
  }

  /** Counts a batch that this process does not do any more. */
  batchLeft(): void {
    this.#batchesRunning.dec();
  }

  /**
   * Counts the end of a batch in this process.
   * @param status OpenAI's status, or `interrupted` for one that will be taken up again
   */
  batchEnded(status: string): void {
    this.#batches.inc({ status });
  }

  /**
   * Counts a request of a batch that has its result.
   * @param list `output` or `error`
   */
  batchRequestEnded(list: 'output' | 'error'): void {
    this.#batchRequests.inc({ list });
  }

  #addGauges({ engine, cachedBytes }: MetricsOptions): void {
    this.#gauge('num_requests_waiting', 'Sequences that wait for a slot.', () => engine().waiting);
    this.#gauge('num_requests_running', 'Sequences in slots.', () => engine().running);
    this.#gauge('kv_cache_usage_perc', 'Part of the KV positions in use, 0 to 1.', () => engine().kvUsage);
    this.#gauge('prompt_cache_bytes', 'Keys and values of prompts in memory.', () => engine().promptCacheBytes);
    this.#gauge('draft_table_bytes', 'Tables that drafts are made from.', () => engine().draftTableBytes);
    this.#gauge('prefix_kv_cached_bytes', 'Keys and values of prefixes in memory.', cachedBytes);
    const labelNames = ['max_lora', 'running_lora_adapters', 'waiting_lora_adapters'] as const;
    const help = 'When it was asked; the labels hold the prefixes that run and wait, as opaque ids.';
    new Gauge({
      name: 'preamble_lora_requests_info',
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        const { slots, runningPrefixes, waitingPrefixes } = engine();
        const lists = {
          running_lora_adapters: runningPrefixes,
          waiting_lora_adapters: waitingPrefixes.slice(0, slots),
        };
        const labels = Object.entries(lists).map(([name, ids]) => [name, ids.join(',')] as const);
        this.reset();
        this.set({ max_lora: slots, ...Object.fromEntries(labels) }, Date.now() / 1000);
      },
    });
  }

  #gauge(name: string, help: string, read: () => number): void {
    const registers = [this.#registry];
    new Gauge({ name: `preamble_${name}`, help, registers, collect() { this.set(read()); } }); // prettier-ignore
  }

  #counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name: `preamble_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #histogram(name: string, help: string, buckets: readonly number[], labelNames: string[] = []): Histogram {
    const registers = [this.#registry];
    return new Histogram({ name: `preamble_${name}`, help, buckets: [...buckets], labelNames, registers });
  }
}
