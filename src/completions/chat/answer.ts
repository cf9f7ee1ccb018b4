import type { GenerationEvent, TokenEvent, TokenLogprob } from '../../engine/request.js';
import type { TokenBytes } from '../../tokenizer/text-stream.js';
import { isSilent, type RunningChoice } from '../answer/choice.js';
import { answering, type Send } from '../answer/response.js';
import type { ChunkChoice } from '../answer/schema.js';
import { tokenName } from '../answer/token-name.js';
import type { Completion } from '../completion.js';
import type { ChatChoice, ChatChunkChoice, ChatCompletion, ChatCompletionChunk, ChatLogprob } from './schema.js';

/** Reads every choice to its end. If one fails, the others are cancelled. */
export function collectChat(completion: Completion, tokenizer: TokenBytes): Promise<ChatCompletion> {
  return answering(completion, async () => {
    const choices = await Promise.all(completion.choices.map((choice) => collectChoice(choice, completion, tokenizer)));
    return { ...head(completion), object: 'chat.completion', choices, usage: completion.usage() };
  });
}

/** Sends each choice's role, then its text as it comes, and the usage at the end if it was asked for. If one fails, the others are cancelled. */
export function streamChat(completion: Completion, tokenizer: TokenBytes, send: Send): Promise<void> {
  const { includeUsage, continuousUsage } = completion.params;
  const { prompt_token_ids: prompt, ...chunkHead } = head(completion);
  const chunk = { ...chunkHead, object: 'chat.completion.chunk', ...(includeUsage && { usage: null }) } as const;
  const sendOne = (running: RunningChoice, choice: ChatChunkChoice): Promise<void> => {
    const ids = choice.delta.role && prompt && { prompt_token_ids: prompt };
    const usage = continuousUsage && { usage: running.usage() };
    return send({ ...chunk, ...ids, choices: [choice], ...usage } satisfies ChatCompletionChunk);
  };
  return answering(completion, async () => {
    await Promise.all(
      completion.choices.map((one) => streamChoice(one, completion, tokenizer, (choice) => sendOne(one, choice))),
    );
    if (includeUsage) await send({ ...chunk, choices: [], usage: completion.usage() } satisfies ChatCompletionChunk);
  });
}

async function collectChoice(
  running: RunningChoice,
  completion: Completion,
  tokenizer: TokenBytes,
): Promise<ChatChoice> {
  const { index, logprobs, promptTokenIds } = running.options;
  const scores: ChatTokenScore[] = [];
  const ids: number[] = [];
  let content = '';
  let finish: ChunkChoice['finish_reason'] = null;
  for await (const { event, chunk } of piecesOf(running, completion)) {
    content += chunk.text;
    finish = chunk.finish_reason ?? finish;
    if (event.type !== 'token') continue;
    ids.push(event.id);
    if (logprobs !== undefined) scores.push(new ChatTokenScore(event, tokenizer));
  }
  return {
    index,
    message: { role: 'assistant', content, refusal: null },
    logprobs: logprobs === undefined ? null : { content: scores, refusal: null },
    finish_reason: finish ?? 'length',
    ...(promptTokenIds && { token_ids: ids }),
  };
}

async function streamChoice(
  running: RunningChoice,
  completion: Completion,
  tokenizer: TokenBytes,
  send: (choice: ChatChunkChoice) => Promise<void>,
): Promise<void> {
  const { index, logprobs } = running.options;
  const silent = { index, logprobs: null, finish_reason: null };
  let isFirst = true;
  for await (const { event, chunk } of piecesOf(running, completion)) {
    if (isFirst) await send({ ...silent, delta: { role: 'assistant', content: '' } });
    isFirst = false;
    if (isSilent(chunk)) continue;
    const score = event.type === 'token' && logprobs !== undefined ? [new ChatTokenScore(event, tokenizer)] : [];
    await send({
      index,
      delta: chunk.text === '' && chunk.finish_reason !== null ? {} : { content: chunk.text },
      logprobs: score.length > 0 ? { content: score, refusal: null } : null,
      finish_reason: chunk.finish_reason,
      ...(chunk.token_ids && { token_ids: chunk.token_ids }),
    });
  }
}

/** The events of a choice with what a completion would write of each. */
async function* piecesOf(
  { generation, writer }: RunningChoice,
  { mayWrite }: Completion,
): AsyncGenerator<{ readonly event: GenerationEvent; readonly chunk: ChunkChoice }> {
  for await (const event of generation) {
    await mayWrite(writer.piecesOf(event));
    yield { event, chunk: writer.write(event) };
  }
}

/** A token of a message with its log-probabilities. Written out in JSON only, as `TopLogprobs`. */
class ChatTokenScore {
  constructor(
    private readonly token: TokenEvent,
    private readonly tokenizer: TokenBytes,
  ) {}

  toJSON(): ChatLogprob {
    const { id, logprob = 0, top = [] } = this.token;
    return { ...this.#one({ id, logprob }), top_logprobs: Array.from(top, (one) => this.#one(one)) };
  }

  #one({ id, logprob }: TokenLogprob): Omit<ChatLogprob, 'top_logprobs'> {
    return { token: tokenName(id, this.tokenizer), logprob, bytes: [...this.tokenizer.tokenBytes(id)] };
  }
}

function head({
  id,
  created,
  params,
  choices,
  version,
}: Completion): Omit<ChatCompletion, 'object' | 'choices' | 'usage'> {
  const prompt = choices[0]?.options.promptTokenIds;
  const model = { model: params.model, ...(version !== undefined && { system_fingerprint: version }) };
  return { id: `chat${id}`, created, ...model, ...(prompt && { prompt_token_ids: [...prompt] }) };
}
