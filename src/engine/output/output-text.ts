import { TextStream, type TokenBytes } from '../../tokenizer/text-stream.js';
import type { GenerationRequest } from '../request.js';
import { StopStrings } from './stop-strings.js';

/** What of a request decides its text. */
type TextOptions = Pick<GenerationRequest, 'stop' | 'includesStop' | 'skipsSpecialTokens'>;

/** The text of one sequence: whole characters only, and nothing behind a stop string, nor of it unless that is asked for. */
export class OutputText {
  readonly #stream: TextStream;
  readonly #stop: StopStrings;
  readonly #hasText: (endToken: number) => boolean;

  constructor(tokenizer: TokenBytes, { stop, includesStop = false, skipsSpecialTokens }: TextOptions) {
    this.#stream = new TextStream(tokenizer, skipsSpecialTokens);
    this.#stop = new StopStrings(stop, includesStop);
    // As in vLLM, a special token that ends a text is in it only where special tokens are asked for.
    const skips = skipsSpecialTokens ?? true;
    this.#hasText = (id) => includesStop && (tokenizer.textBytes?.(id, skips) ?? tokenizer.tokenBytes(id)).length > 0;
  }

  /** Whether a stop string has come. */
  get isStopped(): boolean {
    return this.#stop.isMatched;
  }

  /** The text that becomes certain with this token. */
  push(token: number, mayStop: boolean): string {
    return this.#stop.push(this.#stream.push(token), mayStop);
  }

  /** The text that becomes certain with the token that ends the sequence: none unless what ends it is part of the text. */
  pushEnd(token: number): string {
    return this.#hasText(token) ? this.push(token, false) : '';
  }

  /** Ends the text, and returns the part that was held back. */
  end(): string {
    return this.#stop.push(this.#stream.end(), false) + this.#stop.end();
  }
}
