import { TextStream, type TokenBytes } from '../../tokenizer/text-stream.js';
import { StopStrings } from './stop-strings.js';

/** The text of one sequence: whole characters only, and nothing of a stop string or behind it. */
export class OutputText {
  readonly #stream: TextStream;
  readonly #stop: StopStrings;

  constructor(tokenizer: TokenBytes, stop: readonly string[]) {
    this.#stream = new TextStream(tokenizer);
    this.#stop = new StopStrings(stop);
  }

  /** Whether a stop string has come. */
  get isStopped(): boolean {
    return this.#stop.isMatched;
  }

  /** The text that becomes certain with this token. */
  push(token: number, mayStop: boolean): string {
    return this.#stop.push(this.#stream.push(token), mayStop);
  }

  /** Ends the text, and returns the part that was held back. */
  end(): string {
    return this.#stop.push(this.#stream.end(), false) + this.#stop.end();
  }
}
