import type { VNode } from 'preact';

import { listJobs } from '../api/training.js';
import type { Job } from '../api/types.js';
import { hrefOf, route } from '../app/route.js';
import { session } from '../session/session.js';
import { formatTime } from '../ui/format.js';
import { Notice } from '../ui/notice.js';
import { useStore } from '../ui/store.js';
import { useLoaded } from '../ui/use-loaded.js';
import { JobView } from './job-view.js';
import { NewJobForm } from './new-job.js';

/** Training: the caller's jobs, one of them as it goes on, and the form for another. */
export default function TrainingPage(): VNode {
  const current = useStore(session);
  const { query } = useStore(route);
  const id = query.get('job');
  const isOn = current.state === 'open' && current.me.fine_tuning;
  const { value: jobs, problem, reload } = useLoaded(async () => (isOn ? listJobs() : []), isOn);
  if (current.state !== 'open') return <p class="quiet">Opening …</p>;
  if (!isOn) return <Notice kind="note">This server does not train.</Notice>;
  return (
    <div class="page two-panes">
      <section aria-labelledby="training-title">
        <div class="title-row">
          <h1 id="training-title">Training</h1>
          <a class="button" href={hrefOf('training')}>
            New
          </a>
        </div>
        {problem !== undefined && <Notice kind="problem">{problem}</Notice>}
        {jobs?.length === 0 && <p class="quiet">Nothing was trained yet.</p>}
        {jobs && jobs.length > 0 && <JobList jobs={jobs} chosen={id} />}
      </section>
      <section class={`pane ${id !== null ? 'chosen' : ''}`} aria-label={id === null ? 'New training' : 'Training job'}>
        {id === null ? (
          <NewJobForm
            me={current.me}
            created={async (job) => {
              location.hash = hrefOf('training', new URLSearchParams({ job: job.id }));
              await reload();
            }}
          />
        ) : (
          <JobView key={id} id={id} base={current.me.base_model.id} changed={reload} />
        )}
      </section>
    </div>
  );
}

function JobList({ jobs, chosen }: { jobs: readonly Job[]; chosen: string | null }): VNode {
  return (
    <ul class="cards">
      {jobs.map((job) => (
        <li key={job.id}>
          <a
            class="card"
            href={hrefOf('training', new URLSearchParams({ job: job.id }))}
            aria-current={job.id === chosen ? 'true' : undefined}
          >
            <b>{job.user_provided_suffix ?? job.id}</b>
            <span class="quiet">
              <span class={`status ${job.status}`}>{job.status}</span> · {formatTime(job.created_at)}
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}
