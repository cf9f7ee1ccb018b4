import type { StoreError, StoreErrorReason } from './store-error.js';

/** From one check of a store that fails to the next. Milliseconds. */
const CHECK_EVERY_MS = 1000;
/** How long nothing may fail before a store is said to work. Milliseconds. */
const QUIET_MS = 3000;

/** Why a store fails, without anything of a tenant and without credentials. */
export interface StoreFailure {
  readonly reason: StoreErrorReason;
  /** The store's or the system's own word for it, such as `READONLY` or `ECONNREFUSED`. */
  readonly cause: string;
}

/** The failure that an error tells of. */
export function failureOf({ reason, cause }: StoreError): StoreFailure {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return { reason, cause: typeof code === 'string' ? code : reason };
}

/** Hears when a store begins to fail and when it works again, once each. */
export interface StoreHealthObserver {
  /** Called once more when the store fails for another reason too. */
  storeFails(failure: StoreFailure): void;
  /** @param seconds how long it failed */
  storeWorks(seconds: number): void;
}

interface Episode {
  readonly since: number;
  readonly failures: StoreFailure[];
  lastFailed: number;
}

/** Whether a store fails at present: from the first failure until a check finds that it works, and nothing has failed for 3 s. */
export class StoreHealth {
  #episode: Episode | undefined;
  #timer: NodeJS.Timeout | undefined;
  #observer: StoreHealthObserver | undefined;

  /**
   * @param check whether the store works; called each second while it fails
   * @param now milliseconds from any start, never backwards
   */
  constructor(
    private readonly check: () => Promise<boolean>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  get isFailing(): boolean {
    return this.#episode !== undefined;
  }

  /** Tells `observer` of everything from now on, and of a store that fails already. */
  observe(observer: StoreHealthObserver): void {
    this.#observer = observer;
    for (const failure of this.#episode?.failures ?? []) observer.storeFails(failure);
  }

  /** Notes a failure. */
  failed(failure: StoreFailure): void {
    const now = this.now();
    this.#episode ??= { since: now, failures: [], lastFailed: now };
    const { failures } = this.#episode;
    this.#episode.lastFailed = now;
    this.#timer ??= setInterval(() => void this.#look(), CHECK_EVERY_MS).unref();
    if (failures.some(({ reason }) => reason === failure.reason)) return;
    failures.push(failure);
    this.#observer?.storeFails(failure);
  }

  /** Checks no more. */
  close(): void {
    clearInterval(this.#timer);
    this.#observer = undefined;
  }

  async #look(): Promise<void> {
    const works = await this.check();
    const episode = this.#episode;
    if (!works || episode === undefined || this.now() - episode.lastFailed < QUIET_MS) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#episode = undefined;
    this.#observer?.storeWorks(Math.round(episode.lastFailed - episode.since) / 1000);
  }
}
