import type { Batch } from '../../batches/batch.js';
import type { Page } from '../../lib/page.js';
import { toSeconds } from '../schema/seconds.js';
import type { BatchList, BatchObject } from './schema.js';

/** @param model the base model's id */
export function toBatch(batch: Batch, model: string): BatchObject {
  const { counts, finished } = batch;
  const status = statusOf(batch);
  const at = (time: number | null): number | null => (time === null ? null : toSeconds(time));
  const endedAs = (end: BatchObject['status']): number | null => (status === end ? at(finished) : null);
  const [input = 0, generated = 0] = [counts['input'], counts['generated']];
  return {
    id: batch.id,
    object: 'batch',
    endpoint: batch.endpoint,
    model,
    errors: errorsOf(batch),
    input_file_id: batch.inputFile,
    completion_window: '24h',
    status,
    output_file_id: batch.outputFile,
    error_file_id: batch.errorFile,
    created_at: toSeconds(batch.created),
    in_progress_at: at(batch.inProgress),
    expires_at: toSeconds(batch.expires),
    finalizing_at: at(batch.finalizing),
    completed_at: endedAs('completed'),
    failed_at: endedAs('failed'),
    expired_at: endedAs('expired'),
    cancelling_at: at(batch.cancelling),
    cancelled_at: endedAs('cancelled'),
    request_counts: { total: batch.total, completed: counts['completed'] ?? 0, failed: counts['failed'] ?? 0 },
    usage: {
      input_tokens: input,
      input_tokens_details: { cached_tokens: counts['cached'] ?? 0 },
      output_tokens: generated,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: input + generated,
    },
    metadata: batch.metadata && { ...batch.metadata },
  };
}

/** @param model the base model's id */
export function toBatchList({ data, hasMore }: Page<Batch>, model: string): BatchList {
  const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  return { object: 'list', data: data.map((batch) => toBatch(batch, model)), ...ends, has_more: hasMore };
}

function statusOf({ status, outcome, cancelling, inProgress }: Batch): BatchObject['status'] {
  if (status === 'failed' || status === 'cancelled') return status;
  if (status === 'succeeded') return outcome ?? 'completed';
  if (cancelling !== null) return 'cancelling';
  if (outcome !== null) return 'finalizing';
  return inProgress === null ? 'validating' : 'in_progress';
}

function errorsOf({ problems, error }: Batch): BatchObject['errors'] {
  const data = problems.length > 0 ? problems : error === null ? [] : [{ ...error, line: null }];
  return data.length > 0 ? { object: 'list', data: data.map((problem) => ({ ...problem })) } : null;
}
