import type { Sequence } from '../sequence.js';
import { VirtualCounters } from './fair-share.js';
import type { QueueLimits } from './queue-load.js';
import { WaitingQueue } from './queue.js';

/** Waiting sequences of one class of work, and the service that its tenants have had in it. */
export class WorkClass {
  readonly counters = new VirtualCounters();
  readonly queue: WaitingQueue;

  constructor(limits: QueueLimits) {
    this.queue = new WaitingQueue(limits);
  }

  /** Lets a sequence wait: behind all others, or before them where it ran before. */
  enqueue(sequence: Sequence): void {
    this.counters.join(sequence.tenant, this.queue.tenants);
    if (sequence.wasPreempted) this.queue.putBack(sequence);
    else this.queue.add(sequence);
  }

  /** Takes a sequence out, wherever it stands. */
  dequeue(sequence: Sequence): void {
    if (this.queue.remove(sequence)) this.counters.leave(sequence.tenant);
  }
}
