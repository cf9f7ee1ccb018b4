import type { Generation, GenerationEvent } from '../request.js';

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

  /**
   * @param onCancel called when the consumer wants no more; it may be called again and after the end
   * @param onReady calls back when the consumer, if it waits, may go on; at once unless given
   */
  constructor(
    private readonly onCancel: () => void,
    private readonly onReady: (wake: () => void) => void = (wake) => wake(),
  ) {}

  /** Adds an event; nothing follows a finish. */
  push(event: GenerationEvent): void {
    if (this.#isClosed) return;
    this.#events.push(event);
    this.#isClosed = event.type === 'finish';
    this.#wakeReaders();
  }

  /** Ends the stream: the consumer gets what was added before, then the error once. */
  fail(error: Error): void {
    if (this.#isClosed) return;
    this.#failure = error;
    this.#isClosed = true;
    this.#wakeReaders();
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
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
      this.#answer();
    });
  }

  /** The consumer left. */
  return(): Promise<Result> {
    this.#isClosed = true;
    this.#events = [];
    this.#failure = undefined;
    this.#answer();
    this.cancel();
    return Promise.resolve({ done: true, value: undefined });
  }

  #wakeReaders(): void {
    if (this.#readers.length > 0) this.onReady(() => this.#answer());
  }

  /** Gives readers what there is for them. */
  #answer(): void {
    while (this.#readers.length > 0) {
      const event = this.#events.shift();
      const failure = this.#failure;
      if (event === undefined && failure === undefined && !this.#isClosed) return;
      const reader = this.#readers.shift();
      if (event) reader?.resolve({ done: false, value: event });
      else if (failure) {
        this.#failure = undefined;
        reader?.reject(failure);
      } else reader?.resolve({ done: true, value: undefined });
    }
  }
}
