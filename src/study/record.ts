import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists, makeDirectoryDurably, replaceFile } from '../disk/durable.js';
import { TuningError } from '../tuning/errors.js';

/**
 * Computes a result once and keeps it in a file, which appears by one rename.
 * @param key hash of everything that decides the result
 * @throws TuningError when the file has another key: the file belongs to another study
 */
export async function recorded<T>(file: string, key: string, compute: () => Promise<T>): Promise<T> {
  const saved = await ifExists(fs.readFile(file, 'utf8'));
  if (saved !== undefined) {
    const record = JSON.parse(saved) as { key: string; result: T };
    if (record.key === key) return record.result;
    throw new TuningError(
      'out',
      `${path.dirname(file)} is of a study with other data, training or model; remove it or choose another directory`,
    );
  }
  const result = await compute();
  await makeDirectoryDurably(path.dirname(file));
  await replaceFile(file, `${JSON.stringify({ key, result })}\n`);
  return result;
}
