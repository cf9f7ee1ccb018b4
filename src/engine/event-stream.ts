import type { Generation, GenerationEvent } from './request.js';

type Result = IteratorResult<GenerationEvent, undefined>;

interface Reader {
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/**
 * The events of one sequence on their way to its consumer. A slow consumer costs memory only: events wait here, at most
 * the scored prompt, `maxTokens` tokens and the finish. A consumer that leaves its loop cancels the sequence.
 */
export class EventStream implements Generation, AsyncIterator<GenerationEvent, undefined> {
  #events: GenerationEvent[] = [];
  #readers: Reader[] = [];
  #failure: Error | undefined;
  #isClosed = false;
  #isIterated = false;

  /** @param onCancel called when the consumer wants no more; it may be called again and after the end */
  constructor(private readonly onCancel: () => void) {}

  /** Adds an event; nothing follows a finish. */
  push(event: GenerationEvent): void {
    if (this.#isClosed) return;
    const reader = this.#readers.shift();
    if (reader) reader.resolve({ done: false, value: event });
    else this.#events.push(event);
    if (event.type === 'finish') this.#close();
  }

  /** Ends the stream: the consumer gets what was added before, then the error once. */
  fail(error: Error): void {
    if (this.#isClosed) return;
    const reader = this.#readers.shift();
    if (reader) reader.reject(error);
    else this.#failure = error;
    this.#close();
  }

  cancel(): void {
    this.onCancel();
  }

  [Symbol.asyncIterator](): this {
    if (this.#isIterated) throw new TypeError('a generation can be iterated once');
    this.#isIterated = true;
    return this;
  }

  next(): Promise<Result> {
    const event = this.#events.shift();
    if (event) return Promise.resolve({ done: false, value: event });
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) return Promise.reject(failure);
    if (this.#isClosed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  /** The consumer left. */
  return(): Promise<Result> {
    this.#close();
    this.#events = [];
    this.#failure = undefined;
    this.cancel();
    return Promise.resolve({ done: true, value: undefined });
  }

  #close(): void {
    this.#isClosed = true;
    for (const reader of this.#readers) reader.resolve({ done: true, value: undefined });
    this.#readers = [];
  }
}
