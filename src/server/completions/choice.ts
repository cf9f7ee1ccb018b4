import type { Generation, GenerationEvent } from '../../engine/request.js';
import type { TokenBytes } from '../../tokenizer/text-stream.js';
import { ApiError } from '../errors.js';
import type { Choice, ChunkChoice } from '../schemas/completion.js';
import { appendLogprobs, LogprobsWriter, noLogprobs } from './logprobs.js';

/** What a choice reports beside its text. */
export interface ChoiceOptions {
  readonly index: number;
  readonly withLogprobs: boolean;
  /** Set when token ids are to be returned: they go with the choice's first chunk. */
  readonly promptTokenIds: readonly number[] | undefined;
}

/** Turns the events of one sequence into chunks of one choice; the whole answer is these chunks put together. */
export class ChoiceWriter {
  readonly #logprobs: LogprobsWriter;
  #started = false;
  #tokens = 0;

  constructor(
    private readonly options: ChoiceOptions,
    tokenizer: TokenBytes,
  ) {
    this.#logprobs = new LogprobsWriter(tokenizer);
  }

  /** Tokens written so far, the end token among them. */
  get tokens(): number {
    return this.#tokens;
  }

  /** @throws ApiError when the engine gave the sequence up. */
  write(event: GenerationEvent): ChunkChoice {
    const { index, withLogprobs } = this.options;
    const isToken = event.type === 'token';
    if (isToken) this.#tokens++;
    return {
      text: event.text,
      index,
      logprobs: isToken && withLogprobs ? this.#logprobs.write(event) : null,
      finish_reason: isToken ? null : finishReason(event.reason),
      ...this.#tokenIds(event),
    };
  }

  #tokenIds(event: GenerationEvent): Pick<ChunkChoice, 'prompt_token_ids' | 'token_ids'> {
    const prompt = this.options.promptTokenIds;
    if (!prompt) return {};
    const first = !this.#started;
    this.#started = true;
    return { ...(first && { prompt_token_ids: [...prompt] }), token_ids: event.type === 'token' ? [event.id] : [] };
  }
}

/** Whether a chunk says anything: text is held back while it may begin a stop string or is half a character. */
export function isSilent(chunk: ChunkChoice): boolean {
  return chunk.text === '' && chunk.logprobs === null && chunk.finish_reason === null && !chunk.token_ids;
}

/** Reads a sequence to its end. */
export async function collectChoice(
  generation: Generation,
  writer: ChoiceWriter,
  { index, withLogprobs, promptTokenIds }: ChoiceOptions,
): Promise<Choice> {
  const choice: Choice = { text: '', index, logprobs: withLogprobs ? noLogprobs() : null, finish_reason: 'length' };
  if (promptTokenIds) Object.assign(choice, { prompt_token_ids: [...promptTokenIds], token_ids: [] });
  for await (const event of generation) append(choice, writer.write(event));
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
    throw new ApiError('generation_aborted', 'The server gave this request up before it was finished.');
  return reason;
}
