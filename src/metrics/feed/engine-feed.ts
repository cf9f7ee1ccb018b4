import type { EngineObserver, EngineSnapshot } from '../../engine/observer.js';
import type { EngineCounts, EngineEvent, EngineInterval } from './engine-event.js';
import { StepWindow } from './step-window.js';
import { Subscription } from './subscription.js';
import { TenantNumbers } from './tenant-numbers.js';

/** From one event to the next. */
const EVENT_MS = 1000;

/** Where a feed's counts come from. */
export interface EngineFeedOptions {
  readonly engine: {
    snapshot(): EngineSnapshot;
    watch(watcher: EngineObserver): () => void;
  };
  readonly counts: () => Promise<EngineCounts>;
  /** Reads the bytes of prefixes' keys and values in memory. */
  readonly prefixCacheBytes: () => number;
}

/**
 * Events of what the engine does, once a second, the same for all who listen. While nobody does, no timer runs and the engine is not
 * watched.
 */
export class EngineFeed {
  /** Most subscriptions at a time. */
  static readonly maxSubscriptions = 16;
  readonly #subscriptions = new Set<Subscription>();
  readonly #numbers = new TenantNumbers();
  #stop: (() => void) | undefined;

  constructor(private readonly options: EngineFeedOptions) {}

  /** Whether as many listen as may. */
  get isFull(): boolean {
    return this.#subscriptions.size >= EngineFeed.maxSubscriptions;
  }

  /**
   * Begins to listen. The caller must end the subscription.
   * @throws Error when the feed is full
   */
  subscribe(): Subscription {
    if (this.isFull) throw new Error('too many listen already');
    const subscription = new Subscription(() => this.#leave(subscription));
    this.#subscriptions.add(subscription);
    this.#stop ??= this.#start();
    return subscription;
  }

  /** The engine now, with no interval. */
  async now(): Promise<EngineEvent> {
    return this.#event(undefined);
  }

  /** Ends every subscription. */
  endAll(): void {
    for (const subscription of [...this.#subscriptions]) subscription.end();
  }

  #start(): () => void {
    const { engine } = this.options;
    const window = new StepWindow(seconds());
    const unwatch = engine.watch(window);
    const timer = setInterval(() => void this.#send(window.take(seconds())), EVENT_MS);
    timer.unref();
    return () => {
      clearInterval(timer);
      unwatch();
    };
  }

  async #send(interval: EngineInterval): Promise<void> {
    const event = await this.#event(interval);
    for (const subscription of this.#subscriptions) subscription.offer(event);
  }

  async #event(interval: EngineInterval | undefined): Promise<EngineEvent> {
    const { engine, counts, prefixCacheBytes } = this.options;
    const snapshot = engine.snapshot();
    const { waiting, waitingTokens, waitingByClass, running, kvUsage, promptCacheBytes, draftTableBytes } = snapshot;
    const slots = snapshot.slotStates.map((slot) => ({
      ...slot,
      tenant: slot.tenant === undefined ? undefined : this.#numbers.of(slot.tenant),
    }));
    return {
      time: Date.now(),
      slots,
      waiting,
      waitingTokens,
      waitingByClass,
      running,
      kvUsage,
      promptCacheBytes,
      draftTableBytes,
      prefixCacheBytes: prefixCacheBytes(),
      counts: await counts(),
      interval,
    };
  }

  #leave(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    if (this.#subscriptions.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }
}

function seconds(): number {
  return performance.now() / 1000;
}
