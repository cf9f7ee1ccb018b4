import { PassThrough } from 'node:stream';

/** A stream of server-sent events. Several writers may send at the same time; events are never mixed. */
export class SseStream {
  readonly readable = new PassThrough();
  #writable: Promise<void> | undefined;

  /** Sends one event. Resolves when the client can take more. After the client has gone away, events are dropped. */
  async send(data: object): Promise<void> {
    await this.#write(JSON.stringify(data));
  }

  /** Sends `[DONE]`, as OpenAI's clients expect, and ends the stream. */
  async done(): Promise<void> {
    await this.#write('[DONE]');
    this.readable.end();
  }

  async #write(data: string): Promise<void> {
    if (!this.readable.writable) return;
    if (!this.readable.write(`data: ${data}\n\n`)) await this.#drained();
  }

  /** Resolves when the stream drains or closes. All waiting writers share one promise, to avoid a listener for each. */
  #drained(): Promise<void> {
    this.#writable ??= new Promise((resolve) => {
      const settle = (): void => {
        this.readable.off('drain', settle).off('close', settle);
        this.#writable = undefined;
        resolve();
      };
      this.readable.on('drain', settle).on('close', settle);
    });
    return this.#writable;
  }
}
