import type { Caller } from '../../tenancy/tenancy.js';
import { startCompletion, type Completion, type CompletionDeps } from '../completions/completion.js';
import type { Exchange } from '../completions/exchange.js';
import { ApiError, toApiError } from '../errors.js';
import type { BatchRequest } from './schema.js';
import type { CompletionRequest } from '../completions/schema.js';

/** What batches need of the rest of the program. */
export interface BatchDeps extends CompletionDeps {
  readonly maxBatchItems: number;
}

/** One request of a batch: admitted, or refused without hurting the others. */
export type BatchItem = { readonly customId: string } & (
  | { readonly completion: Completion; readonly error?: never }
  | { readonly error: ApiError; readonly completion?: never }
);

/**
 * Starts every request of a batch; settles when each is admitted or refused, in the order asked.
 * @param check throws the refusal of a body that is no completion request.
 * @throws ApiError when the batch itself is wrong.
 */
export async function startBatch(
  deps: BatchDeps,
  caller: Caller,
  { requests, stream }: BatchRequest,
  check: (body: unknown) => CompletionRequest,
  exchange: Exchange,
): Promise<BatchItem[]> {
  refuseTooMany(requests.length, deps.maxBatchItems);
  refuseDuplicates(requests.map(({ custom_id }) => custom_id));
  return Promise.all(
    requests.map(async ({ custom_id: customId, body }): Promise<BatchItem> => {
      try {
        const request = streamAsBatch(check(body), stream ?? false);
        return { customId, completion: await startCompletion(deps, caller, request, exchange) };
      } catch (error) {
        return { customId, error: toApiError(error) };
      }
    }),
  );
}

/** Whether there is a stream is the batch's to say; an item may only repeat it. */
function streamAsBatch(body: CompletionRequest, stream: boolean): CompletionRequest {
  if (body.stream && !stream) {
    throw new ApiError('invalid_value', `Set 'stream' on the batch, not on one of its requests.`, { param: 'stream' });
  }
  return { ...body, stream };
}

function refuseTooMany(count: number, limit: number): void {
  if (count <= limit) return;
  throw new ApiError('invalid_value', `${count} requests are more than ${limit}, the limit of one batch.`, {
    param: 'requests',
  });
}

function refuseDuplicates(ids: readonly string[]): void {
  const seen = new Set<string>();
  const at = ids.findIndex((id) => seen.size === seen.add(id).size);
  if (at < 0) return;
  throw new ApiError('invalid_value', `'custom_id' of request ${at} is used before.`, {
    param: `requests[${at}].custom_id`,
  });
}
