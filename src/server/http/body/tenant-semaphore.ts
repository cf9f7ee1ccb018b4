import type { ServerResponse } from 'node:http';

import { ConcurrencyLimit } from '../../../lib/concurrency-limit.js';
import { ApiError } from '../../errors.js';

/** Limits how many requests of each tenant go on at the same time, in order of arrival. */
export class TenantSemaphore {
  /** Limits of the tenants that have requests here. */
  readonly #limits = new Map<string, ConcurrencyLimit>();

  /** @param permits requests of one tenant at the same time */
  constructor(private readonly permits: number) {}

  /**
   * Waits for a permit of the tenant. The request keeps it until its answer is sent or its client disconnects.
   * @throws ApiError when the client disconnects while waiting
   */
  async acquire(tenant: string, answer: ServerResponse): Promise<void> {
    const gone = new ApiError('client_closed_request', 'The client went away.');
    if (answer.closed) throw gone;
    const over = new Promise<void>((resolve) => answer.once('close', resolve));
    const limit = this.#limits.get(tenant) ?? new ConcurrencyLimit(this.permits);
    this.#limits.set(tenant, limit);
    return new Promise<void>((resolve, reject) => {
      const whole = limit.run(() => {
        resolve();
        return over;
      });
      void whole.then(() => limit.isIdle && this.#limits.delete(tenant));
      void over.then(() => reject(gone)); // no effect once the permit was given
    });
  }
}
