import fs from 'node:fs/promises';
import path from 'node:path';

import { exists, replaceFile } from '../disk/durable.js';
import { CONFIG_FILE, MODEL_FILE } from '../prefix/adapter/format.js';
import type { PrefixLibrary } from '../prefix/library.js';
import { writeAdapter } from '../tuning/adapter-files.js';
import { FileError } from '../files/errors.js';
import type { FileStore } from '../files/file-store.js';
import type { FineTuningJob } from './job.js';
import type { TrainingTask } from './trainer.js';

export interface PrepareDeps {
  readonly files: Pick<FileStore, 'content'>;
  readonly library: Pick<PrefixLibrary, 'files'>;
  /** The base model's id. */
  readonly baseModel: string;
}

/**
 * Writes what the training process of a job reads, and nothing else, into `directory`. What is there of an interrupted job is the job's own
 * copy, whatever was deleted since. Throws `FileError` `file_not_found` and `PrefixError` `prefix_not_found` for what was deleted before.
 */
export async function prepareTask(
  { files, library, baseModel }: PrepareDeps,
  tenant: string,
  { settings, trainingFile, validationFile, model }: FineTuningJob,
  directory: string,
): Promise<Omit<TrainingTask, 'out' | 'maxSeconds'>> {
  await fs.mkdir(directory, { recursive: true, mode: 0o700 });
  /** Named by the request's field, which errors then name. */
  const write = async (param: string, id: string): Promise<string> => {
    const file = path.join(directory, `${param}.jsonl`);
    if (await exists(file)) return file;
    const content = await files.content(tenant, id);
    if (content === undefined) throw new FileError('file_not_found', `${param}: ${id} was deleted`, param);
    await replaceFile(file, content); // what is there is whole
    return file;
  };
  const train = await write('training_file', trainingFile);
  const valid = validationFile === null ? undefined : await write('validation_file', validationFile);
  const task = { settings, train, valid };
  if (model === baseModel) return { ...task, adapter: undefined };

  const adapter = path.join(directory, 'adapter');
  const there = await Promise.all([CONFIG_FILE, MODEL_FILE].map((file) => exists(path.join(adapter, file))));
  if (there.every(Boolean)) return { ...task, adapter };
  const [name = '', version] = model.split('@');
  await writeAdapter(adapter, await library.files(tenant, name, version));
  return { ...task, adapter };
}
