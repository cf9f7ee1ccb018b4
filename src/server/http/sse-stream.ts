import { PassThrough } from 'node:stream';

/** Server-sent events on a stream that fastify sends. Many writers may send at once; each event is whole. */
export class SseStream {
  readonly readable = new PassThrough();
  #writable: Promise<void> | undefined;

  /** Sends one event. Settles when the client can take more, or has gone away: then events are dropped. */
  async send(data: object): Promise<void> {
    await this.#write(JSON.stringify(data));
  }

  /** Ends the stream as OpenAI's clients expect. */
  async done(): Promise<void> {
    await this.#write('[DONE]');
    this.readable.end();
  }

  async #write(data: string): Promise<void> {
    if (!this.readable.writable) return;
    if (!this.readable.write(`data: ${data}\n\n`)) await this.#drained();
  }

  /** One promise for all writers that wait: a listener each would be too many. */
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
