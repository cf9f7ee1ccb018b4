import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { cancelJob } from '../api/training.js';
import type { Job, JobEventObject } from '../api/types.js';
import { hrefOf } from '../app/route.js';
import { Confirm } from '../ui/confirm.js';
import { Facts } from '../ui/facts.js';
import { formatDuration } from '../ui/format.js';
import { LineChart } from '../ui/line-chart.js';
import { Notice } from '../ui/notice.js';
import type { Curve } from './curve.js';
import { promptFor } from './remembered.js';
import { useJob } from './use-job.js';

interface JobViewProps {
  readonly id: string;
  /** Id of the base model. */
  readonly base: string;
  /** Called when the job's status has changed. */
  readonly changed: () => Promise<void>;
}

/** One job as it goes on: its curve, its events, and the prefix at the end. */
export function JobView({ id, base, changed }: JobViewProps): VNode {
  const { known, problem } = useJob(id, changed);
  const [asks, setAsks] = useState(false);
  if (known === undefined)
    return problem === undefined ? <p class="quiet">Loading …</p> : <Notice kind="problem">{problem}</Notice>;
  const { job, events, curve } = known;
  const isOver = job.finished_at !== null;
  return (
    <>
      <div class="title-row">
        <h2>{job.user_provided_suffix ?? job.id}</h2>
        {job.fine_tuned_model !== null && (
          <a class="button primary" href={hrefOf('playground', tryQuery(job, base))}>
            Try it
          </a>
        )}
        {!isOver && (
          <button type="button" class="danger" onClick={() => setAsks(true)}>
            Cancel
          </button>
        )}
      </div>
      <Progress job={job} curve={curve} />
      {problem !== undefined && <Notice kind="warning">{problem}</Notice>}
      {job.error && <Notice kind="problem">{job.error.message}</Notice>}
      <Losses curve={curve} />
      <JobFacts job={job} />
      <h3>Events</h3>
      <Events events={events} />
      {asks && (
        <Confirm
          title="Cancel this training?"
          action="Cancel training"
          close={() => setAsks(false)}
          act={() => cancelJob(id)}
        >
          It ends within seconds, and nothing of it is kept.
        </Confirm>
      )}
    </>
  );
}

/** The playground with the base model beside the trained prefix. */
function tryQuery(job: Job, base: string): URLSearchParams {
  return new URLSearchParams([
    ['model', base],
    ['model', job.fine_tuned_model ?? base],
    ['prompt', promptFor(job.training_file)],
    ['max_tokens', '80'],
    ['temperature', '0'],
  ]);
}

function Progress({ job, curve }: { job: Job; curve: Curve }): VNode {
  const step = Math.max(curve.training.at(-1)?.step ?? 0, curve.validation.at(-1)?.step ?? 0);
  const left = job.estimated_finish === null ? undefined : job.estimated_finish - Date.now() / 1000;
  const known = job.status === 'running' && curve.steps !== undefined;
  return (
    <div class="job-progress">
      <p role="status">
        <span class={`status ${job.status}`}>{job.status}</span>
        {known && `, step ${step} of ${curve.steps}`}
        {job.status === 'running' && left !== undefined && left > 0 && `, about ${formatDuration(left)} left`}
        {job.finished_at !== null && ` after ${formatDuration(job.finished_at - job.created_at)}`}
      </p>
      {known && <progress max={curve.steps} value={step} aria-label="Steps" />}
    </div>
  );
}

function Losses({ curve: { training, validation, steps } }: { curve: Curve }): VNode | null {
  if (training.length + validation.length === 0) return null;
  const points = (line: Curve['training']): { x: number; y: number }[] =>
    line.map(({ step, loss }) => ({ x: step, y: loss }));
  const lines = [
    { label: 'training', style: 'main' as const, points: points(training) },
    { label: 'validation', style: 'second' as const, points: points(validation) },
  ].filter(({ points: own }) => own.length > 0);
  const told = lines.map(({ label, points: own }) => `${label} loss ${own.at(-1)?.y.toFixed(3) ?? ''}`).join(', ');
  return (
    <LineChart
      label={`Loss by step: ${told}`}
      xLabel="steps"
      yLabel="loss, nats per token"
      series={lines}
      maxX={steps}
    />
  );
}

function JobFacts({ job }: { job: Job }): VNode {
  const { prefix_tuning: tuning, hyperparameters } = job;
  const facts: readonly (readonly [string, string])[] = [
    ['Method', tuning.method],
    ['Length', tuning.length === null ? 'that of its start' : String(tuning.length)],
    ['Hidden width', tuning.mlp === 0 ? 'none' : String(tuning.mlp)],
    ['Start', tuning.init],
    ['Rate', String(tuning.learning_rate)],
    ['Epochs', tuning.max_steps === null ? String(hyperparameters.n_epochs) : `${tuning.max_steps} steps`],
    ['Batch', String(hyperparameters.batch_size)],
    ['Seed', String(job.seed)],
    ['From', job.model],
  ];
  return <Facts facts={facts} />;
}

function Events({ events }: { events: readonly JobEventObject[] }): VNode {
  return (
    <ol class="events" reversed>
      {events.map(({ id, created_at, level, message }) => (
        <li key={id} class={level}>
          <time dateTime={new Date(created_at * 1000).toISOString()}>
            {new Date(created_at * 1000).toLocaleTimeString()}
          </time>{' '}
          {message}
        </li>
      ))}
    </ol>
  );
}
