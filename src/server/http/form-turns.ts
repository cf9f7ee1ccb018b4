import type { ServerResponse } from 'node:http';

import { ConcurrencyLimit } from '../../lib/concurrency-limit.js';
import { ApiError } from '../errors.js';

/** Forms of one tenant that are in memory at once. */
export const MOST_FORMS = 4;

/** Who may read a form: few requests of each tenant at once, in the order in which they came. */
export class FormTurns {
  /** Of tenants that have forms here. */
  readonly #limits = new Map<string, ConcurrencyLimit>();

  /**
   * Settles when it is a request's turn, which lasts until its answer is out or its client is gone.
   * @throws ApiError when the client leaves before
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
