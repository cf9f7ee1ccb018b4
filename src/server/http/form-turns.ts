import type { ServerResponse } from 'node:http';

import { ConcurrencyLimit } from '../../lib/concurrency-limit.js';
import { ApiError } from '../errors.js';

/** Forms of one tenant that may be in memory at the same time. */
export const MOST_FORMS = 4;

/** Limits how many forms of each tenant are read at the same time, in order of arrival. */
export class FormTurns {
  /** Limits of the tenants that have forms here. */
  readonly #limits = new Map<string, ConcurrencyLimit>();

  /**
   * Waits until the request may read its form. The permission lasts until the answer is sent or the client
   * disconnects.
   * @throws ApiError when the client disconnects while waiting
   */
  async take(tenant: string, answer: ServerResponse): Promise<void> {
    const gone = new ApiError('client_closed_request', 'The client went away.');
    if (answer.closed) throw gone;
    const over = new Promise<void>((resolve) => answer.once('close', resolve));
    const limit = this.#limits.get(tenant) ?? new ConcurrencyLimit(MOST_FORMS);
    this.#limits.set(tenant, limit);
    return new Promise<void>((resolve, reject) => {
      const whole = limit.run(() => {
        resolve();
        return over;
      });
      void whole.then(() => limit.isIdle && this.#limits.delete(tenant));
      void over.then(() => reject(gone)); // says nothing where it had its turn
    });
  }
}
