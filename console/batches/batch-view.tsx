import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { cancelBatch } from '../api/batches.js';
import type { Batch } from '../api/types.js';
import { Confirm } from '../ui/confirm.js';
import { Facts } from '../ui/facts.js';
import { formatDuration, formatTime } from '../ui/format.js';
import { Notice } from '../ui/notice.js';
import { ResultList } from './result-list.js';
import { hasEnded, useBatch } from './use-batch.js';

interface BatchViewProps {
  readonly id: string;
  /** Called when the batch's status has changed. */
  readonly changed: () => Promise<void>;
}

/** One batch as it goes on: how much is done, what was wrong, and its results. */
export function BatchView({ id, changed }: BatchViewProps): VNode {
  const { known: batch, problem } = useBatch(id, changed);
  const [asks, setAsks] = useState(false);
  if (batch === undefined)
    return problem === undefined ? <p class="quiet">Loading …</p> : <Notice kind="problem">{problem}</Notice>;
  const { output_file_id: output, error_file_id: errors, request_counts: counts } = batch;
  return (
    <>
      <div class="title-row">
        <h2>{batch.endpoint}</h2>
        {!hasEnded(batch) && batch.status !== 'cancelling' && (
          <button type="button" class="danger" onClick={() => setAsks(true)}>
            Cancel
          </button>
        )}
      </div>
      <Progress batch={batch} />
      {problem !== undefined && <Notice kind="warning">{problem}</Notice>}
      {batch.errors && <Faults errors={batch.errors} />}
      <BatchFacts batch={batch} />
      {errors !== null && (
        <ResultList title="Errors" file={errors} name={`${batch.id}-errors.jsonl`} total={counts.failed} />
      )}
      {output !== null && (
        <ResultList title="Results" file={output} name={`${batch.id}-output.jsonl`} total={counts.completed} />
      )}
      {asks && (
        <Confirm
          title="Cancel this batch?"
          action="Cancel batch"
          close={() => setAsks(false)}
          act={() => cancelBatch(id)}
        >
          It ends within seconds. The answers that are there stay.
        </Confirm>
      )}
    </>
  );
}

function Progress({ batch }: { batch: Batch }): VNode {
  const { total, completed, failed } = batch.request_counts;
  const end = batch.completed_at ?? batch.failed_at ?? batch.expired_at ?? batch.cancelled_at;
  return (
    <div class="job-progress">
      <p role="status">
        <span class={`status ${batch.status}`}>{batch.status.replace('_', ' ')}</span>
        {total > 0 && `, ${completed.toLocaleString()} of ${total.toLocaleString()} requests`}
        {failed > 0 && `, ${failed.toLocaleString()} failed`}
        {end !== null && ` after ${formatDuration(end - batch.created_at)}`}
      </p>
      {total > 0 && !hasEnded(batch) && <progress max={total} value={completed + failed} aria-label="Requests" />}
    </div>
  );
}

/** Why the file is not one of requests, line by line. */
function Faults({ errors }: { errors: NonNullable<Batch['errors']> }): VNode {
  return (
    <Notice kind="problem">
      <ul>
        {errors.data.map(({ message }, index) => (
          <li key={index}>{message}</li>
        ))}
      </ul>
    </Notice>
  );
}

function BatchFacts({ batch: { id, created_at: created, expires_at: expires, usage } }: { batch: Batch }): VNode {
  const facts: readonly (readonly [string, string])[] = [
    ['Batch', id],
    ['Begun', formatTime(created)],
    ['Given up', formatTime(expires)],
    ['Prompt tokens', usage.input_tokens.toLocaleString()],
    ['Generated', usage.output_tokens.toLocaleString()],
  ];
  return <Facts facts={facts} />;
}
