import type { Redis } from 'ioredis';

/**
 * Forgets which jobs seem lost where nobody could have kept one: when no worker has looked for half of the time after which one is lost,
 * Redis was away, and for that time from now on the workers that live take their locks again.
 *
 * KEYS: looks, BullMQ's set of jobs that are lost unless their worker is heard of before the next look
 * ARGV: time after which a job is lost. Milliseconds.
 */
const FORGET_IN_OUTAGE = `
local time = redis.call('TIME')
local now, lostAfter = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[1])
local looks = redis.call('HMGET', KEYS[1], 'last', 'patient-until')
local patientUntil = tonumber(looks[2]) or 0
if now - (tonumber(looks[1]) or 0) > lostAfter / 2 then patientUntil = now + lostAfter end
redis.call('HSET', KEYS[1], 'last', string.format('%d', now), 'patient-until', string.format('%d', patientUntil))
if now < patientUntil then redis.call('DEL', KEYS[2]) end
`;

export interface LostJobsOptions {
  readonly client: Redis;
  /** Key of the hash of looks: of the last one, and until when no job is lost. */
  readonly looks: string;
  /** BullMQ's key. */
  readonly stalled: string;
  /** Milliseconds. */
  readonly lostAfter: number;
  /** Gives jobs to others whose lock has run out since the last call, over the same client. */
  readonly reclaim: () => Promise<unknown>;
}

/** Looks for jobs whose worker has died, at a regular interval. A job whose lock has run out because Redis was away is not lost. */
export class LostJobs {
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(private readonly options: LostJobsOptions) {
    this.#wait();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #wait(): void {
    this.#timer = setTimeout(() => void this.#look(), lookEvery(this.options.lostAfter));
  }

  async #look(): Promise<void> {
    const { client, looks, stalled, lostAfter, reclaim } = this.options;
    // Sent together, and as a text, which needs no second attempt: no outage may come between them.
    await Promise.allSettled([client.eval(FORGET_IN_OUTAGE, 2, looks, stalled, lostAfter), reclaim()]);
    if (!this.#stopped) this.#wait();
  }
}

/** From one look to the next, in whole milliseconds: so short that also on a busy machine a look comes before an outage is assumed. */
export function lookEvery(lostAfter: number): number {
  return Math.floor(lostAfter / 6);
}
