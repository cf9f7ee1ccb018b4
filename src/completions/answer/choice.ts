import type { Generation, GenerationEvent } from '../../engine/request.js';
import type { TokenBytes } from '../../tokenizer/text-stream.js';
import type { RequestContext } from '../context.js';
import { CompletionError } from '../errors.js';
import type { Choice, ChunkChoice, Logprobs, PromptLogprobs, Usage } from './schema.js';
import { appendLogprobs, LogprobsWriter, noLogprobs } from './logprobs.js';
import { PromptEcho } from './prompt-echo.js';
import { PromptLogprobsWriter } from './prompt-logprobs.js';

/** Options of one choice: its place, and what it reports beside its text. */
export interface ChoiceOptions {
  readonly index: number;
  /** Best log-probabilities that each token has beside its own; undefined: none at all. */
  readonly logprobs: number | undefined;
  /** The same of the prompt's tokens, for `prompt_logprobs`; left out: none. */
  readonly promptLogprobs?: number | undefined;
  /** As in the engine's `GenerationRequest`. */
  readonly skipsSpecialTokens?: boolean | undefined;
  /** The prompt, when token ids are to be returned; it goes with the choice's first chunk. */
  readonly promptTokenIds: readonly number[] | undefined;
  /** The prompt, when the text is to begin with its text. */
  readonly echo?: readonly number[] | undefined;
}

/** Turns the events of one sequence into chunks of one choice; the whole answer is these chunks put together. */
export class ChoiceWriter {
  readonly #logprobs: LogprobsWriter;
  readonly #echo: PromptEcho | undefined;
  readonly #promptLogprobs: PromptLogprobsWriter | undefined;
  #started = false;
  #tokens = 0;
  #logprob = 0;
  #score: number | undefined;
  #cachedTokens = 0;

  constructor(
    private readonly options: ChoiceOptions,
    tokenizer: TokenBytes,
  ) {
    const { echo, logprobs, promptLogprobs, skipsSpecialTokens } = options;
    this.#logprobs = new LogprobsWriter(tokenizer, skipsSpecialTokens, echo !== undefined);
    const scores = logprobs === undefined ? undefined : { writer: this.#logprobs, count: logprobs };
    this.#echo = echo && new PromptEcho(echo, scores, tokenizer);
    if (promptLogprobs !== undefined) this.#promptLogprobs = new PromptLogprobsWriter(promptLogprobs, tokenizer);
  }

  /** Log-probabilities of the prompt so far; undefined unless they are asked for by themselves. */
  get promptLogprobs(): PromptLogprobs | undefined {
    return this.#promptLogprobs?.written;
  }

  /** Tokens written so far, the end token among them. */
  get tokens(): number {
    return this.#tokens;
  }

  /** Prompt tokens that came from the prompt cache; known when the choice has ended. */
  get cachedTokens(): number {
    return this.#cachedTokens;
  }

  /**
   * How good the choice is: a hypothesis' score; else the mean log-probability of the generated tokens, if the engine reports them,
   * and 0 without a token.
   */
  get score(): number {
    return this.#score ?? (this.#tokens === 0 ? 0 : this.#logprob / this.#tokens);
  }

  /** How many tokens and log-probabilities `write` is going to write for an event. */
  piecesOf(event: GenerationEvent): number {
    const { echo = [], promptTokenIds = [] } = this.options;
    const before = this.#started ? 0 : echo.length + promptTokenIds.length;
    const scored = event.type === 'prompt' ? event.tokens : event.type === 'token' ? [event] : [];
    return scored.reduce((sum, { top = [] }) => sum + 1 + top.length, before);
  }

  /** @throws CompletionError when the engine gave the sequence up. */
  write(event: GenerationEvent): ChunkChoice {
    const isFirst = !this.#started;
    this.#started = true;
    this.#count(event);
    if (event.type === 'prompt') this.#promptLogprobs?.write(event.tokens);
    const echoed = this.#echo?.write(event);
    const text = event.type === 'prompt' ? '' : event.text;
    return {
      text: (echoed?.text ?? '') + text,
      index: this.options.index,
      logprobs: this.#writeLogprobs(event, echoed?.logprobs),
      finish_reason: event.type === 'finish' ? finishReason(event.reason) : null,
      ...this.#tokenIds(event, isFirst),
    };
  }

  #count(event: GenerationEvent): void {
    if (event.type === 'finish') {
      this.#score = event.score;
      this.#cachedTokens = event.cachedTokens ?? 0;
    }
    if (event.type !== 'token') return;
    this.#tokens++;
    this.#logprob += event.logprob ?? 0;
  }

  /** @param logprobs of the prompt, to which the token's are added; null is returned where there are none */
  #writeLogprobs(event: GenerationEvent, logprobs: Logprobs = noLogprobs()): Logprobs | null {
    if (event.type === 'token' && this.options.logprobs !== undefined)
      appendLogprobs(logprobs, this.#logprobs.write(event));
    return logprobs.tokens.length > 0 ? logprobs : null;
  }

  #tokenIds(event: GenerationEvent, isFirst: boolean): Pick<ChunkChoice, 'prompt_token_ids' | 'token_ids'> {
    const prompt = this.options.promptTokenIds;
    if (!prompt) return {};
    return { ...(isFirst && { prompt_token_ids: [...prompt] }), token_ids: event.type === 'token' ? [event.id] : [] };
  }
}

/** One choice of an admitted completion, returned or, with `best_of`, perhaps not. */
export interface RunningChoice {
  readonly generation: Generation;
  readonly writer: ChoiceWriter;
  readonly options: ChoiceOptions;
  /** Tokens so far, and those of its prompt. */
  readonly usage: () => Usage;
}

/** Whether a chunk has nothing to say: text is held back while it may begin a stop string or is half a character. */
export function isSilent(chunk: ChunkChoice): boolean {
  return chunk.text === '' && chunk.logprobs === null && chunk.finish_reason === null && !chunk.token_ids;
}

/** Reads a sequence to its end. @param mayWrite settles when so many pieces may be written */
export async function collectChoice(
  { generation, writer, options: { index, logprobs, promptTokenIds } }: RunningChoice,
  mayWrite: RequestContext['mayWrite'],
): Promise<Choice> {
  const written = logprobs === undefined ? null : noLogprobs();
  const choice: Choice = { text: '', index, logprobs: written, finish_reason: 'length' };
  if (writer.promptLogprobs) Object.assign(choice, { prompt_logprobs: writer.promptLogprobs });
  if (promptTokenIds) Object.assign(choice, { prompt_token_ids: [...promptTokenIds], token_ids: [] });
  for await (const event of generation) {
    await mayWrite(writer.piecesOf(event));
    append(choice, writer.write(event));
  }
  return choice;
}

function append(choice: Choice, chunk: ChunkChoice): void {
  choice.text += chunk.text;
  choice.token_ids?.push(...(chunk.token_ids ?? []));
  if (choice.logprobs && chunk.logprobs) appendLogprobs(choice.logprobs, chunk.logprobs);
  if (chunk.finish_reason) choice.finish_reason = chunk.finish_reason;
}

function finishReason(reason: 'stop' | 'length' | 'abort'): 'stop' | 'length' {
  if (reason === 'abort')
    throw new CompletionError('generation_aborted', 'The server gave this request up before it was finished.');
  return reason;
}
