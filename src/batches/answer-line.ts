import { chatJson, completionJson } from '../completions/answer/json.js';
import { collectCompletion } from '../completions/answer/response.js';
import type { Usage } from '../completions/answer/schema.js';
import { collectChat } from '../completions/chat/answer.js';
import { type ChatDeps, startChat } from '../completions/chat/chat.js';
import { type Completion, startCompletion } from '../completions/completion.js';
import type { RequestContext } from '../completions/context.js';
import { CompletionError, invalidValue } from '../completions/errors.js';
import { Reservation } from '../completions/plan/reservation.js';
import { isObject } from '../lib/is-object.js';
import type { RateLimiter } from '../tenancy/rate-limiter.js';
import type { Caller } from '../tenancy/tenancy.js';
import type { BatchEndpoint } from './batch.js';

/** The parts of the program that answer a batch's requests. */
export interface AnswerDeps extends ChatDeps {
  readonly limiter: RateLimiter;
}

/** The answer to a request. */
export interface LineAnswer {
  /** The endpoint's answer, as JSON. */
  readonly json: string;
  readonly usage: Usage;
}

/** Characters of an answer that are written in one turn of the event loop. */
const CHARACTERS_A_TURN = 2 ** 16;

/**
 * Starts one request of a batch: when this settles, it has its tokens of the tenant's limits, and waits in the engine.
 * @throws what the endpoint would refuse it with; nothing of it is left in the engine then
 */
export async function startLine(
  deps: AnswerDeps,
  endpoint: BatchEndpoint,
  caller: Caller,
  body: unknown,
  context: RequestContext,
): Promise<Completion> {
  checkBody(body);
  const reservation = await Reservation.ofRequest(deps.limiter, caller);
  const start = endpoint === '/v1/chat/completions' ? startChat : startCompletion;
  return start(deps, caller, { body, reservation }, context);
}

/** Reads the answer to its end. */
export async function answerLine(
  { tokenizer }: Pick<AnswerDeps, 'tokenizer'>,
  endpoint: BatchEndpoint,
  completion: Completion,
  context: RequestContext,
): Promise<LineAnswer> {
  const pieces =
    endpoint === '/v1/chat/completions'
      ? chatJson(await collectChat(completion, tokenizer))
      : completionJson(await collectCompletion(completion));
  return { json: await join(pieces, context), usage: completion.usage() };
}

/** Joins the pieces of an answer; others are served between those of a long one. */
async function join(pieces: Iterable<string>, context: RequestContext): Promise<string> {
  let json = '';
  let turnEnd = CHARACTERS_A_TURN;
  for (const piece of pieces) {
    json += piece;
    if (json.length < turnEnd) continue;
    turnEnd = json.length + CHARACTERS_A_TURN;
    await context.yield();
  }
  return json;
}

function checkBody(body: unknown): void {
  if (!isObject(body) || Array.isArray(body))
    throw new CompletionError('invalid_type', `'body' must be an object.`, { param: 'body' });
  if ('stream' in body && body.stream === true)
    throw invalidValue('stream', `'stream' must be false, or left out: the answers of a batch are in a file.`);
}
