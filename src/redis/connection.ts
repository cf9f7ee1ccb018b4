import { setTimeout as delay } from 'node:timers/promises';

import { Redis } from 'ioredis';

import type { StoreFailure } from '../lib/store-health.js';
import { RedisUnavailableError, storeFailure } from './errors.js';
import { connected, type LinkObserver, observe, unobservedCopy } from './link.js';
import { openingError, placeOf } from './opening-error.js';
import type { RedisOptions } from './options.js';
import { Pieces } from './pieces.js';
import { PrimaryWatch } from './primary-watch.js';
import { writeFailure } from './write-check.js';

/**
 * Longest time for Redis to answer a command. After it the command fails and the connection is given up, so that later commands fail at
 * once until Redis answers a new connection.
 */
const COMMAND_TIMEOUT_MS = 2000;
/** Longest time to open the first connection. It is long because a Redis that starts reads its data first. */
const OPEN_TIMEOUT_MS = 10_000;
/** Longest time between two attempts to reconnect. */
const MAX_RETRY_DELAY_MS = 250;
/** From one check of whether Redis takes writes to the next. Milliseconds. */
const CHECK_EVERY_MS = 2000;

/**
 * The connections of a process to Redis: one for commands, one for the contents of files and one that listens to channels. All reconnect
 * by themselves, and move to the new primary after a failover. While Redis is away, commands fail at once instead of waiting.
 */
export class RedisConnection {
  /** The connection for commands, which are small. */
  readonly client: Redis;
  /** Contents of files, over a connection of their own because they are large. */
  readonly pieces: Pieces;
  readonly #subscriber: Redis;
  readonly #listeners = new Map<string, (message: string) => void>();
  readonly #reconnected: (() => void)[] = [];
  /** All that were made. BullMQ opens the copy that it blocks on anew after its end, while Redis hangs, and leaves it open. */
  readonly #links: Redis[] = [];
  readonly #watch = new PrimaryWatch();
  readonly #checking = setInterval(() => void this.isWorking(), CHECK_EVERY_MS).unref();
  #onFailure: (failure: StoreFailure) => void = () => undefined;
  #isClosed = false;

  private constructor({ url, tls }: RedisOptions) {
    const options = {
      ...(tls && { tls }),
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      connectTimeout: COMMAND_TIMEOUT_MS,
      retryStrategy: (attempt: number): number => Math.min(MAX_RETRY_DELAY_MS, 25 * attempt),
    };
    const impatient = { ...options, commandTimeout: COMMAND_TIMEOUT_MS, socketTimeout: COMMAND_TIMEOUT_MS };
    this.client = observe(new Redis(url, impatient), this.#observer);
    this.pieces = new Pieces(observe(new Redis(url, impatient), this.#observer));
    this.#subscriber = observe(new Redis(url, { ...options, autoResubscribe: false }), this.#observer);
    this.#subscriber.on('message', (channel: string, message: string) => this.#listeners.get(channel)?.(message));
    this.#subscriber.on('ready', () => void this.#resubscribe());
  }

  /**
   * Connects.
   * @throws RedisUnavailableError when Redis cannot be reached
   * @throws RedisRefusedError when a setting must change before this can succeed: address, TLS, credentials or database
   */
  static async open(options: RedisOptions): Promise<RedisConnection> {
    const connection = new RedisConnection(options);
    const deadline = new AbortController();
    try {
      const late = delay(OPEN_TIMEOUT_MS, undefined, { signal: deadline.signal }).then(() => {
        throw new RedisUnavailableError(`${placeOf(options)} is not ready within ${OPEN_TIMEOUT_MS / 1000} s`);
      });
      await Promise.race([connection.#connect(), late]);
      return connection;
    } catch (error) {
      connection.close();
      throw error instanceof RedisUnavailableError ? error : openingError(error as Error, options);
    } finally {
      deadline.abort();
    }
  }

  /**
   * Makes another connection. The caller closes it, but not copies that others make of it: `close` does. Its commands wait while Redis is away and have no time limit: it is for BullMQ,
   * which blocks on commands.
   */
  patientClient(): Redis {
    const patient = { enableOfflineQueue: true, maxRetriesPerRequest: null, keepAlive: 10_000 };
    const noLimits = { commandTimeout: undefined, socketTimeout: undefined };
    const client = unobservedCopy(this.client, { ...patient, ...noLimits });
    // What fails there fails on the other connections too, or is given up because the caller closes it.
    return observe(client, { ...this.#observer, failed: () => undefined });
  }

  /** Calls `listener` with every failure of a command or a connection from now on. */
  onFailure(listener: (failure: StoreFailure) => void): void {
    this.#onFailure = listener;
  }

  /** Whether all connections are open, and Redis takes writes and scripts. */
  async isWorking(): Promise<boolean> {
    return this.isReady && (await writeFailure(this.client)) === undefined;
  }

  /** Whether all connections are open. */
  get isReady(): boolean {
    return this.#clients.every(({ status }) => status === 'ready');
  }

  /** Calls `listener` with every message of a channel from now on. A channel has one listener. */
  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    this.#listeners.set(channel, listener);
    await this.#subscriber.subscribe(channel);
  }

  /** Calls `listener` whenever messages may have been missed: after each reconnect. */
  onReconnect(listener: () => void): void {
    this.#reconnected.push(listener);
  }

  /** Closes all connections at once, patient ones too. Those to a Redis that hangs end within two seconds. */
  close(): void {
    this.#isClosed = true;
    this.#watch.stop();
    clearInterval(this.#checking);
    for (const link of this.#links) link.disconnect();
  }

  get #clients(): Redis[] {
    return [this.client, this.pieces.client, this.#subscriber];
  }

  get #observer(): LinkObserver {
    return {
      made: (link) => this.#links.push(link),
      ready: (link) => this.#watch.add(link),
      closed: (link) => this.#watch.remove(link),
      failed: (error) => {
        const failure = storeFailure(error);
        if (failure !== undefined && !this.#isClosed) this.#onFailure(failure);
      },
    };
  }

  async #connect(): Promise<void> {
    // One first: its failure is everybody's, and nothing else is then under way that would fail later, unheard.
    await connected(this.client);
    await Promise.all([this.pieces.client, this.#subscriber].map(connected));
  }

  async #resubscribe(): Promise<void> {
    if (this.#listeners.size === 0) return;
    // If this fails, the connection is lost again, and the next reconnect comes back here.
    await this.#subscriber.subscribe(...this.#listeners.keys()).catch(() => undefined);
    for (const listener of this.#reconnected) listener();
  }
}
