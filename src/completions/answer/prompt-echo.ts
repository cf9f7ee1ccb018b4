import type { GenerationEvent } from '../../engine/request.js';
import { TextStream, type TokenBytes } from '../../tokenizer/text-stream.js';
import type { Logprobs } from './schema.js';
import { appendLogprobs, noLogprobs, type LogprobsWriter } from './logprobs.js';

/** A piece of the prompt's text. */
export interface EchoedText {
  readonly text: string;
  /** No entries unless log-probabilities are asked for. */
  readonly logprobs: Logprobs;
}

/** How log-probabilities are written. */
interface Scores {
  readonly writer: LogprobsWriter;
  /** Best ones beside each token's own; a token may have been scored with more. */
  readonly count: number;
}

/** Writes the prompt of one choice before what is generated: as it is scored, or all at once where it is not. */
export class PromptEcho {
  readonly #text: TextStream;
  #written = 0;

  /** @param scores how log-probabilities of the choice are written, if it has any */
  constructor(
    private readonly prompt: readonly number[],
    private readonly scores: Scores | undefined,
    tokenizer: TokenBytes,
  ) {
    this.#text = new TextStream(tokenizer, undefined, true);
  }

  /** The piece of the prompt that comes with an event, before the event's own text. Call it for every event, in order. */
  write(event: GenerationEvent): EchoedText {
    const logprobs = noLogprobs();
    const isFirst = this.#written === 0;
    const scored = event.type === 'prompt' ? event.tokens : [];
    if (this.scores && isFirst) appendLogprobs(logprobs, this.scores.writer.write({ id: this.#first, logprob: null }));
    if (this.scores) {
      const { writer, count } = this.scores;
      for (const token of scored) appendLogprobs(logprobs, writer.write(token, count));
    }
    const end = event.type === 'prompt' ? this.#written + scored.length + Number(isFirst) : this.prompt.length;
    return { text: this.#take(end), logprobs };
  }

  get #first(): number {
    return this.prompt[0] ?? 0;
  }

  /** The text of the tokens that are not written yet, up to `end`. */
  #take(end: number): string {
    const tokens = this.prompt.slice(this.#written, end);
    const text = tokens.map((id) => this.#text.push(id)).join('');
    this.#written = end;
    if (end < this.prompt.length || tokens.length === 0) return text;
    this.scores?.writer.endText();
    return text + this.#text.end();
  }
}
