import type { Admission, RateLimiter } from '../tenancy/rate-limiter.js';
import type { Caller } from '../tenancy/tenancy.js';
import { startCompletion, type Completion, type CompletionDeps } from './completion.js';
import type { RequestContext } from './context.js';
import { isObject } from '../lib/is-object.js';
import { CompletionError, invalidValue, RateLimitError } from './errors.js';
import { Reservation } from './plan/reservation.js';

/** The parts of the program that completions of many requests are made with. */
export interface ManyDeps extends CompletionDeps {
  readonly limiter: RateLimiter;
  readonly maxRequests: number;
}

/** One of many requests, as it came: but for its name, nothing of it is checked. */
interface ManyRequest {
  readonly custom_id: string;
  /** Where it is to be sent, as OpenAI's batches have it. */
  readonly method?: unknown;
  readonly url?: unknown;
  /** A completion request. */
  readonly body?: unknown;
}

/** Many completion requests of one call. */
export interface ManyRequests {
  /** Of the first request. Each of the others takes one from the caller's limits. */
  readonly reservation: Reservation;
  readonly requests: readonly ManyRequest[];
  /** Whether the answers are streamed. */
  readonly stream: boolean;
}

/** One of many requests: admitted, or refused without hurting the others. */
export type ManyItem = { readonly customId: string } & (
  { readonly completion: Completion; readonly error?: never } | { readonly error: unknown; readonly completion?: never }
);

/** Many requests, each admitted or refused. */
export interface ManyCompletions {
  /** In the order asked. */
  readonly items: readonly ManyItem[];
  /** The state of the tenant's limits after the last item was admitted, or refused by them; undefined: none came that far. */
  readonly admission: Admission | undefined;
}

/** Requests that are checked and started in one turn of the event loop. */
const STARTED_A_TURN = 4;

/**
 * Starts many completions; settles when each is admitted or refused.
 * @throws CompletionError when the call itself is wrong: too many requests, or a `custom_id` twice. It then has taken one request.
 */
export async function startMany(
  deps: ManyDeps,
  caller: Caller,
  { requests, stream, reservation: first }: ManyRequests,
  context: RequestContext,
): Promise<ManyCompletions> {
  refuseTooMany(requests.length, deps.maxRequests);
  refuseDuplicates(requests.map(({ custom_id }) => custom_id));
  let admission: Admission | undefined;
  let turn = Promise.resolve();
  const items = await Promise.all(
    requests.map(async (request, index): Promise<ManyItem> => {
      const customId = request.custom_id;
      if (index > 0 && index % STARTED_A_TURN === 0) turn = context.yield();
      try {
        await turn;
        const reservation = index === 0 ? first : await Reservation.ofRequest(deps.limiter, caller);
        const completion = await startCompletion(deps, caller, { body: bodyOf(request, stream), reservation }, context);
        admission = completion.admission;
        return { customId, completion };
      } catch (error) {
        if (error instanceof RateLimitError) admission = error.admission;
        return { customId, error };
      }
    }),
  );
  return { items, admission };
}

/**
 * The completion request of one of many.
 * @throws CompletionError for one that is none
 */
function bodyOf({ method, url, body }: ManyRequest, stream: boolean): object {
  refuseOther('method', method, 'POST');
  refuseOther('url', url, '/v1/completions');
  if (body === undefined) throw new CompletionError('missing_parameter', `'body' is required.`, { param: 'body' });
  if (isObject(body) && !Array.isArray(body)) return withStream(body, stream);
  throw new CompletionError('invalid_type', `'body' must be an object: a completion request.`, { param: 'body' });
}

/** Refuses a value, if there is one, that would be sent elsewhere. */
function refuseOther(field: 'method' | 'url', value: unknown, wanted: string): void {
  if ((value ?? wanted) === wanted) return;
  throw invalidValue(
    field,
    `'${field}' of a request must be ${wanted}, or left out: the others are not done in a batch.`,
  );
}

/** Whether answers are streamed is the call's to say; a request may only repeat it. Other values are left to be refused. */
function withStream(body: object, stream: boolean): object {
  const own = 'stream' in body ? (body.stream ?? false) : false;
  if (own === true && !stream) throw invalidValue('stream', `Set 'stream' on the batch, not on one of its requests.`);
  return typeof own === 'boolean' ? { ...body, stream } : body;
}

function refuseTooMany(count: number, limit: number): void {
  if (count <= limit) return;
  throw invalidValue('requests', `${count} requests are more than ${limit}, the limit of one batch.`);
}

function refuseDuplicates(ids: readonly string[]): void {
  const seen = new Set<string>();
  const at = ids.findIndex((id) => seen.size === seen.add(id).size);
  if (at < 0) return;
  throw invalidValue(`requests[${at}].custom_id`, `'custom_id' of request ${at} is used before.`);
}
