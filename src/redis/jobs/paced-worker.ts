import { setTimeout as delay } from 'node:timers/promises';

import { type Job, Worker } from 'bullmq';

/** Pause after Redis has refused to give a job. Milliseconds. */
const PAUSE_MS = 1000;

/** A worker of BullMQ's that pauses while Redis refuses to give a job, as a replica does. BullMQ 6.7.0 asks again at once, for ever. */
export class PacedWorker<Data> extends Worker<Data, void> {
  protected override async moveToActive(token: string, name?: string): Promise<Job<Data, void>> {
    try {
      return await super.moveToActive(token, name);
    } catch (error) {
      if (!this.closing) await delay(PAUSE_MS);
      throw error;
    }
  }
}
