import { type FileRecord, newFileId } from '../../src/files/file.js';

/** A file of `bytes` bytes. */
export function file(bytes: number, created = 1): FileRecord {
  return { id: newFileId(), filename: 'data.jsonl', purpose: 'fine-tune', bytes, created };
}
