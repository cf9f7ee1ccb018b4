import type { FileRecord } from '../../files/file.js';
import type { Page } from '../../lib/page.js';
import { toSeconds } from '../schema/seconds.js';
import type { FileList, FileObject } from './schema.js';

export function toFile({ id, filename, purpose, bytes, created }: FileRecord): FileObject {
  return { id, object: 'file', bytes, created_at: toSeconds(created), filename, purpose, status: 'processed' };
}

export function toFileList({ data, hasMore }: Page<FileRecord>): FileList {
  const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  return { object: 'list', data: data.map(toFile), ...ends, has_more: hasMore };
}
