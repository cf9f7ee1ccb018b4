import type { Generation, GenerationEvent } from '../../engine/request.js';
import type { TokenBytes } from '../../tokenizer/text-stream.js';
import type { RequestContext } from '../context.js';
import { CompletionError } from '../errors.js';
import type { Choice, ChunkChoice, Logprobs } from './schema.js';
import { appendLogprobs, LogprobsWriter, noLogprobs } from './logprobs.js';
import { PromptEcho } from './prompt-echo.js';

/** Options of one choice: its place, and what it reports beside its text. */
export interface ChoiceOptions {
  readonly index: number;
  readonly withLogprobs: boolean;
  /** The prompt, when token ids are to be returned; it goes with the choice's first chunk. */
  readonly promptTokenIds: readonly number[] | undefined;
  /** The prompt, when the text is to begin with its text. */
  readonly echo?: readonly number[] | undefined;
}

/** Turns the events of one sequence into chunks of one choice; the whole answer is these chunks put together. */
export class ChoiceWriter {
  readonly #logprobs: LogprobsWriter;
  readonly #echo: PromptEcho | undefined;
  #started = false;
  #tokens = 0;
  #logprob = 0;
  #score: number | undefined;
  #cachedTokens = 0;

  constructor(
    private readonly options: ChoiceOptions,
    tokenizer: TokenBytes,
  ) {
    const { echo, withLogprobs } = options;
    this.#logprobs = new LogprobsWriter(tokenizer);
    this.#echo = echo && new PromptEcho(echo, withLogprobs ? this.#logprobs : undefined, tokenizer);
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
    if (event.type === 'token' && this.options.withLogprobs) appendLogprobs(logprobs, this.#logprobs.write(event));
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
}

/** Whether a chunk has nothing to say: text is held back while it may begin a stop string or is half a character. */
export function isSilent(chunk: ChunkChoice): boolean {
  return chunk.text === '' && chunk.logprobs === null && chunk.finish_reason === null && !chunk.token_ids;
}

/** Reads a sequence to its end. @param mayWrite settles when so many pieces may be written */
export async function collectChoice(
  { generation, writer, options: { index, withLogprobs, promptTokenIds } }: RunningChoice,
  mayWrite: RequestContext['mayWrite'],
): Promise<Choice> {
  const choice: Choice = { text: '', index, logprobs: withLogprobs ? noLogprobs() : null, finish_reason: 'length' };
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
