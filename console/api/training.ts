import { call, send } from './client.js';
import type { FileObject, Job, JobEventList, JobEventObject, JobList, NewJob } from './types.js';

/** Keeps a file of training data for jobs. */
export function uploadTrainingFile(name: string, content: Blob): Promise<FileObject> {
  const form = new FormData();
  form.append('purpose', 'fine-tune');
  form.append('file', content, name);
  return call('files', { form });
}

/** Queues a job that trains a prefix. */
export function createJob(job: NewJob): Promise<Job> {
  return call('fine_tuning/jobs', { json: job });
}

/** The caller's newest jobs. */
export async function listJobs(): Promise<Job[]> {
  return (await call<JobList>('fine_tuning/jobs?limit=50')).data;
}

/** A job as it is now. */
export function retrieveJob(id: string): Promise<Job> {
  return call(`fine_tuning/jobs/${encodeURIComponent(id)}`);
}

/** Ends a job; nothing of it is kept. */
export function cancelJob(id: string): Promise<Job> {
  return call(`fine_tuning/jobs/${encodeURIComponent(id)}/cancel`, { method: 'POST' });
}

/** The newest events of a job, newest first, back to the one of id `known`. */
export async function eventsSince(id: string, known: string | undefined): Promise<JobEventObject[]> {
  const fresh: JobEventObject[] = [];
  let after = '';
  for (;;) {
    const page = await call<JobEventList>(`fine_tuning/jobs/${encodeURIComponent(id)}/events?limit=100${after}`);
    const end = page.data.findIndex((event) => event.id === known);
    fresh.push(...(end < 0 ? page.data : page.data.slice(0, end)));
    const last = page.data.at(-1);
    if (end >= 0 || !page.has_more || last === undefined) return fresh;
    after = `&after=${encodeURIComponent(last.id)}`;
  }
}

/** The content of a file, as text. */
export async function readFileText(id: string): Promise<string> {
  return (await send(`files/${encodeURIComponent(id)}/content`)).text();
}
