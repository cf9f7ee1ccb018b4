import { setTimeout as delay } from 'node:timers/promises';

import { Redis } from 'ioredis';

import { redisFailure, RedisRefusedError, RedisUnavailableError } from './errors.js';
import { Pieces } from './pieces.js';

export interface RedisOptions {
  /** `redis://` or `rediss://`, with user, password and database number where they are needed. */
  readonly url: string;
}

/**
 * A command that Redis has not answered by then has failed: a request is refused rather than kept waiting. The connection is given
 * up with it, so that only the first ones wait: until Redis answers a new connection, commands fail at once. Milliseconds.
 */
const COMMAND_TIMEOUT = 2000;
/** For the first connection: Redis may be reading what it kept. Milliseconds. */
const OPEN_TIMEOUT = 10_000;
/** Between two attempts to reconnect, at most. Milliseconds. */
const MAX_RETRY_DELAY = 250;

/**
 * One process's way to Redis: a connection for commands, one for the contents of files and one that listens to channels. All come back
 * by themselves. While Redis is away, a command fails at once instead of waiting for it.
 */
export class RedisConnection {
  /** For commands, which are small. */
  readonly client: Redis;
  /** Contents of files, which are not. */
  readonly pieces: Pieces;
  readonly #subscriber: Redis;
  readonly #listeners = new Map<string, (message: string) => void>();
  readonly #reconnected: (() => void)[] = [];

  private constructor({ url }: RedisOptions) {
    const options = {
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      connectTimeout: COMMAND_TIMEOUT,
      retryStrategy: (attempt: number): number => Math.min(MAX_RETRY_DELAY, 25 * attempt),
    };
    const impatient = { ...options, commandTimeout: COMMAND_TIMEOUT, socketTimeout: COMMAND_TIMEOUT };
    this.client = new Redis(url, impatient);
    this.pieces = new Pieces(new Redis(url, impatient));
    this.#subscriber = new Redis(url, { ...options, autoResubscribe: false });
    // Without a listener an unreachable Redis would end the process; `isReady` and failing commands tell of it.
    for (const client of this.#clients) client.on('error', () => undefined);
    this.#subscriber.on('message', (channel: string, message: string) => this.#listeners.get(channel)?.(message));
    this.#subscriber.on('ready', () => void this.#resubscribe());
  }

  /**
   * Connects.
   * @throws RedisUnavailableError when Redis cannot be reached
   * @throws RedisRefusedError when it does not take the credentials, or does not have the database
   */
  static async open(options: RedisOptions): Promise<RedisConnection> {
    const connection = new RedisConnection(options);
    const deadline = new AbortController();
    try {
      const late = delay(OPEN_TIMEOUT, undefined, { signal: deadline.signal }).then(() => {
        throw new Error('Redis does not answer');
      });
      await Promise.race([connection.#connect(), late]);
      return connection;
    } catch (error) {
      connection.close();
      if (error instanceof RedisRefusedError) throw error;
      if (redisFailure(error) === 'refused')
        throw new RedisRefusedError('Redis refuses the credentials', { cause: error });
      throw new RedisUnavailableError('Redis cannot be reached', { cause: error });
    } finally {
      deadline.abort();
    }
  }

  /**
   * One more connection, of the caller's, whose commands wait while Redis is away. For BullMQ, which makes a blocking one of it too: a
   * command there may take as long as it likes.
   */
  patientClient(): Redis {
    const patient = { enableOfflineQueue: true, maxRetriesPerRequest: null, commandTimeout: undefined };
    const client = this.client.duplicate({
      ...patient,
      socketTimeout: undefined,
      lazyConnect: true,
      keepAlive: 10_000,
    });
    client.on('error', () => undefined);
    return client;
  }

  /** Whether commands go out, files are read and messages come in. */
  get isReady(): boolean {
    return this.#clients.every(({ status }) => status === 'ready');
  }

  /** Calls `listener` with every message of a channel from now on. One listener a channel. */
  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    this.#listeners.set(channel, listener);
    await this.#subscriber.subscribe(channel);
  }

  /** Calls `listener` whenever messages may have been missed: after each reconnect. */
  onReconnect(listener: () => void): void {
    this.#reconnected.push(listener);
  }

  /** Gives all connections up at once. */
  close(): void {
    for (const client of this.#clients) client.disconnect();
  }

  get #clients(): Redis[] {
    return [this.client, this.pieces.client, this.#subscriber];
  }

  async #connect(): Promise<void> {
    // A refusal is only told as an event: the client would go on trying.
    const refused = new Promise<never>((_, reject) => {
      this.client.on('error', (error) => {
        if (redisFailure(error) === 'refused') reject(error);
      });
    });
    await Promise.race([Promise.all(this.#clients.map((client) => client.connect())), refused]);
    await Promise.all(this.#clients.map(selectDatabase));
  }

  async #resubscribe(): Promise<void> {
    if (this.#listeners.size === 0) return;
    // A failure means that the connection is lost again; the next one comes back here.
    await this.#subscriber.subscribe(...this.#listeners.keys()).catch(() => undefined);
    for (const listener of this.#reconnected) listener();
  }
}

/** The client has asked for its database already, and goes on in database 0 where that was refused. */
async function selectDatabase(client: Redis): Promise<void> {
  const database = client.options.db ?? 0;
  if (database === 0) return; // where connections begin; a cluster has no other and refuses to be asked
  try {
    await client.select(database);
  } catch (error) {
    if (redisFailure(error) !== undefined) throw error;
    const problem = `Redis does not open its database ${database}: ${(error as Error).message}`;
    throw new RedisRefusedError(problem, { cause: error });
  }
}
