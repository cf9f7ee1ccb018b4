import type { ServerResponse } from 'node:http';

import { ApiError } from './errors.js';

/** Forms of one tenant that are in memory at once. */
export const MOST_FORMS = 4;

interface Line {
  inside: number;
  /** In the order in which they came. */
  readonly waiting: Set<() => void>;
}

/** Who may read a form: few requests of each tenant at once. */
export class FormTurns {
  readonly #lines = new Map<string, Line>();

  /**
   * Settles when it is a request's turn, which lasts until its answer is out or its client is gone.
   * @throws ApiError when the client leaves before
   */
  take(tenant: string, answer: ServerResponse): Promise<void> {
    const line = this.#lines.get(tenant) ?? { inside: 0, waiting: new Set() };
    return new Promise((resolve, reject) => {
      const gone = (): void => reject(new ApiError('client_closed_request', 'The client went away.'));
      if (answer.closed) {
        gone();
        return;
      }
      answer.once('close', () => {
        if (line.waiting.delete(resolve)) gone();
        else this.#leave(tenant, line);
      });
      this.#lines.set(tenant, line);
      if (line.inside === MOST_FORMS) line.waiting.add(resolve);
      else {
        line.inside++;
        resolve();
      }
    });
  }

  #leave(tenant: string, line: Line): void {
    const [next] = line.waiting;
    if (next) {
      line.waiting.delete(next);
      next();
      return;
    }
    line.inside--;
    if (line.inside === 0) this.#lines.delete(tenant);
  }
}
