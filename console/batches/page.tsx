import type { VNode } from 'preact';

import { listBatches } from '../api/batches.js';
import type { Batch } from '../api/types.js';
import { hrefOf, route } from '../app/route.js';
import { session } from '../session/session.js';
import { formatTime } from '../ui/format.js';
import { Notice } from '../ui/notice.js';
import { useStore } from '../ui/store.js';
import { useLoaded } from '../ui/use-loaded.js';
import { BatchView } from './batch-view.js';
import { NewBatchForm } from './new-batch.js';

/** Batches: the caller's, one of them as it goes on, and the form for another. */
export default function BatchesPage(): VNode {
  const current = useStore(session);
  const { query } = useStore(route);
  const id = query.get('batch');
  const { value: batches, problem, reload } = useLoaded(listBatches, 'batches');
  if (current.state !== 'open') return <p class="quiet">Opening …</p>;
  return (
    <div class="page two-panes">
      <section aria-labelledby="batches-title">
        <div class="title-row">
          <h1 id="batches-title">Batches</h1>
          <a class="button" href={hrefOf('batches')}>
            New
          </a>
        </div>
        {problem !== undefined && <Notice kind="problem">{problem}</Notice>}
        {batches?.length === 0 && <p class="quiet">There are none yet.</p>}
        {batches && batches.length > 0 && <BatchCards batches={batches} chosen={id} />}
      </section>
      <section class="pane" aria-label={id === null ? 'New batch' : 'Batch'}>
        {id === null ? (
          <NewBatchForm
            base={current.me.base_model.id}
            created={async (batch) => {
              location.hash = hrefOf('batches', new URLSearchParams({ batch: batch.id }));
              await reload();
            }}
          />
        ) : (
          <BatchView key={id} id={id} changed={reload} />
        )}
      </section>
    </div>
  );
}

function BatchCards({ batches, chosen }: { batches: readonly Batch[]; chosen: string | null }): VNode {
  return (
    <ul class="cards">
      {batches.map(({ id, status, created_at: created, request_counts: { total } }) => (
        <li key={id}>
          <a
            class="card"
            href={hrefOf('batches', new URLSearchParams({ batch: id }))}
            aria-current={id === chosen ? 'true' : undefined}
          >
            <b>{total === 0 ? id : `${total.toLocaleString()} requests`}</b>
            <span class="quiet">
              <span class={`status ${status}`}>{status.replace('_', ' ')}</span> · {formatTime(created)}
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}
