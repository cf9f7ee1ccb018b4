import type { ModelTokenizer } from './token-encoder.js';

const noBytes = new Uint8Array(0);

/** In place of the tokenizer of a model that has none: token ids are read and written, and have no text. */
export class NoTokenizer implements ModelTokenizer {
  readonly textProblem = 'the model has no tokenizer, so that it reads token ids and no text';

  encode(): never {
    throw new Error(this.textProblem);
  }

  encodeSource(): never {
    return this.encode();
  }

  minTokens(): never {
    return this.encode();
  }

  decode(): string {
    return '';
  }

  tokenBytes(): Uint8Array {
    return noBytes;
  }
}
