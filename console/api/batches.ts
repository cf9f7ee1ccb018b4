import { call, send } from './client.js';
import { saveAnswer } from './save.js';
import type { Batch, BatchList, FileObject, NewBatch } from './types.js';

/** The caller's newest batches. */
export async function listBatches(): Promise<Batch[]> {
  return (await call<BatchList>('batches?limit=50')).data;
}

/** A batch as it is now. */
export function retrieveBatch(id: string): Promise<Batch> {
  return call(`batches/${encodeURIComponent(id)}`);
}

/** Ends a batch. What is done of it stays. */
export function cancelBatch(id: string): Promise<Batch> {
  return call(`batches/${encodeURIComponent(id)}/cancel`, { method: 'POST' });
}

/** Stores a file of requests, and queues them. */
export async function startBatch(file: File, endpoint: NewBatch['endpoint']): Promise<Batch> {
  const form = new FormData();
  form.append('purpose', 'batch');
  form.append('file', file, file.name);
  const { id } = await call<FileObject>('files', { form });
  const json: NewBatch = { input_file_id: id, endpoint, completion_window: '24h' };
  return call('batches', { json });
}

/** Lets the browser save a file of results. */
export async function saveFile(id: string, name: string): Promise<void> {
  await saveAnswer(await send(`files/${encodeURIComponent(id)}/content`), name);
}

/** The first lines of a file, which may be large: the rest is not fetched. */
export async function firstLines(id: string, most: number): Promise<string[]> {
  const { body } = await send(`files/${encodeURIComponent(id)}/content`);
  if (body === null) return [];
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  let lines: string[] = [];
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    text += value ?? '';
    lines = text.split('\n');
    if (lines.length > most) break;
  }
  void reader.cancel().catch(() => undefined);
  return lines.filter((line) => line !== '').slice(0, most);
}
