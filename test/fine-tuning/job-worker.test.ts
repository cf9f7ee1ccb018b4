import fs from 'node:fs/promises';
import path from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { defaultConfig } from '../../src/config/config.js';
import { childTrainer } from '../../src/fine-tuning/child-trainer.js';
import { DiskFileStore } from '../../src/files/disk-file-store.js';
import { DiskJobStore } from '../../src/jobs/disk-job-store.js';
import { FineTuning } from '../../src/fine-tuning/fine-tuning.js';
import { FINE_TUNING, type FineTuningJob } from '../../src/fine-tuning/job.js';
import { TrainingWork } from '../../src/fine-tuning/training-work.js';
import { JobWorker } from '../../src/jobs/job-worker.js';
import { type Trainer, TrainingCrashedError } from '../../src/fine-tuning/trainer.js';
import { StoreError } from '../../src/lib/store-error.js';
import { PrefixError } from '../../src/prefix/errors.js';
import { type AdapterFiles, CONFIG_FILE, MODEL_FILE } from '../../src/prefix/adapter/format.js';
import type { PrefixLibrary } from '../../src/prefix/library.js';
import { DivergedError, TuningError } from '../../src/tuning/errors.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { testModelCache } from '../support/program.js';
import { canMount, fill, smallDisk } from '../support/small-disk.js';
import { file } from '../files/fixtures.js';
import { FINGERPRINT, job } from './fixtures.js';

const never = new AbortController().signal;
const place = { model: defaultConfig().model, modelName: undefined, cache: testModelCache, threads: 1, nice: 0 };

const examples = Buffer.from('{"prompt": "a", "completion": "b"}\n'.repeat(4));

const notFound = (): never => {
  throw new PrefixError('prefix_not_found', 'name: there is no prefix');
};

/** Writes what a run leaves, without one. */
const trained: Trainer = async ({ out }) => {
  await fs.mkdir(out, { recursive: true });
  for (const name of ['adapter_config.json', 'adapter_model.safetensors'])
    await fs.writeFile(path.join(out, name), name);
  await fs.writeFile(
    path.join(out, 'curve.jsonl'),
    '{"step":1,"learned_tokens":7}\n{"step":1,"valid_loss":1}\n{"step":2,"learned_tokens":5}\n',
  );
  return 'finished';
};

describe('the worker', () => {
  let files: DiskFileStore;
  let jobs: DiskJobStore<FineTuningJob>;
  let directory: string;
  let uploads: string[];
  let ends: string[];
  let upload: () => Promise<void>;
  /** The prefix that a job goes on from. */
  let start: AdapterFiles | undefined;
  const ref = { tenant: 't', id: '' };

  beforeEach(async () => {
    const store = await temporaryDirectory();
    directory = path.join(store, 'running');
    [files, jobs] = [await DiskFileStore.open(store), await DiskJobStore.open<FineTuningJob>(store, FINE_TUNING)];
    [uploads, ends, start] = [[], [], undefined];
    upload = async () => undefined;
    const data = file(3);
    await files.put('t', data, Buffer.from('{}\n'));
    const queued = job({ trainingFile: data.id, name: 'mine' });
    await jobs.add('t', queued);
    ref.id = queued.id;
  });

  function worker(trainer: Trainer): JobWorker<FineTuningJob> {
    const library = {
      files: () => Promise.resolve(start ?? notFound()),
      upload: async (tenant: string, { name }: { name: string }) => {
        await upload();
        uploads.push(`${tenant}/${name}`);
        return { created: true, record: { version: 'a'.repeat(64) } };
      },
    } as unknown as PrefixLibrary;
    const quota = async () => ({});
    const place = 'PREAMBLE_CACHE';
    const options = { jobs, files, library, baseModel: 'base', trainer, quota, maxSeconds: 60, place, now: Date.now };
    return new JobWorker({
      store: jobs,
      work: new TrainingWork(options),
      directory,
      observer: { jobStarted: () => undefined, jobEnded: (end) => ends.push(end), jobBroke: () => ends.push('broke') },
      now: Date.now,
    });
  }

  const record = () => jobs.get('t', ref.id);
  const isThere = () =>
    fs.stat(path.join(directory, ref.id)).then(
      () => true,
      () => false,
    );

  it('leaves a prefix, a curve, and no files of its own', async () => {
    expect(await worker(trained).run(ref, never)).toBe('done');
    expect(await record()).toMatchObject({
      status: 'succeeded',
      fineTunedModel: `mine@${'a'.repeat(12)}`,
      trainedTokens: 12,
    });
    const [curve] = (await record())!.resultFiles;
    expect(Buffer.from((await files.content('t', curve!))!).toString()).toContain('valid_loss');
    expect([uploads, ends, await isThere()]).toEqual([['t/mine'], ['succeeded'], false]);
    // Delivered once more, it is done already.
    expect(await worker(trained).run(ref, never)).toBe('done');
    expect(uploads).toHaveLength(1);
  });

  it('tries again what crashes, and gives up in the end', async () => {
    let attempts = 0;
    const crash: Trainer = (task, options) => {
      if (++attempts < 3) throw new TrainingCrashedError('it was killed');
      return trained(task, options);
    };
    await worker(crash).run(ref, never);
    expect(await record()).toMatchObject({ status: 'succeeded' });

    const second = job({ trainingFile: (await record())!.trainingFile });
    await jobs.add('t', second);
    await worker(() => Promise.reject(new TrainingCrashedError('again'))).run({ tenant: 't', id: second.id }, never);
    expect(await jobs.get('t', second.id)).toMatchObject({ status: 'failed', error: { code: 'training_failed' } });
    expect(ends).toEqual(['succeeded', 'broke', 'failed']);
  });

  it.skipIf(!canMount)('names the disk that fails, before training or in it', async () => {
    const disk = await smallDisk(64);
    const failed = {
      status: 'failed',
      error: {
        code: 'training_failed',
        message: 'The server failed to train: its disk failed (ENOSPC), in the directory that PREAMBLE_CACHE names.',
      },
    };
    directory = path.join(disk.directory, 'running');
    const script = path.resolve('dist/app/training-child.js');
    const data = file(examples.length, 2);
    await files.put('t', data, examples);
    const second = job({ trainingFile: data.id });
    await jobs.add('t', second);
    await worker(childTrainer(script, place)).run({ tenant: 't', id: second.id }, never);
    expect(await jobs.get('t', second.id)).toMatchObject(failed);
    expect(await fs.readdir(directory)).toEqual([]);

    fill(disk);
    await worker(trained).run(ref, never);
    expect(await record()).toMatchObject(failed);
    expect(ends).toEqual(['broke', 'failed', 'broke', 'failed']);
  });

  it('tells the owner what is wrong, by the field', async () => {
    await worker(() => Promise.reject(new TuningError('valid', 'no', { where: 'validation_file.jsonl line 2' }))).run(
      ref,
      never,
    );
    expect((await record())?.error).toEqual({
      code: 'invalid_training_file',
      message: 'validation_file.jsonl line 2: no',
      param: 'validation_file',
    });
    const errorOf = async (failing: FineTuningJob, trainer: Trainer): Promise<unknown> => {
      await jobs.add('t', failing);
      await worker(trainer).run({ tenant: 't', id: failing.id }, never);
      return (await jobs.get('t', failing.id))?.error;
    };
    expect(await errorOf(job(), trained)).toMatchObject({ code: 'file_not_found', param: 'training_file' });

    const { trainingFile } = (await record())!;
    const refuse =
      (error: TuningError): Trainer =>
      () =>
        Promise.reject(error);
    expect(await errorOf(job({ trainingFile }), refuse(new DivergedError(3)))).toEqual({
      code: 'invalid_value',
      message: expect.stringMatching(/^prefix_tuning\.learning_rate: training diverged at step 3: /),
      param: 'prefix_tuning.learning_rate',
    });
    const noEnd = new TuningError('model', 'it has no end token to learn');
    expect(await errorOf(job({ trainingFile }), refuse(noEnd))).toMatchObject({ code: 'invalid_value', param: null });
    upload = () => Promise.reject(new PrefixError('prefix_too_long', 'adapter_model: 9 virtual tokens; at most 4'));
    expect(await errorOf(job({ trainingFile }), trained)).toEqual({
      code: 'prefix_too_long',
      message: 'prefix_tuning.length: 9 virtual tokens; at most 4',
      param: 'prefix_tuning.length',
    });
  });

  it('tells nobody where its files are', async () => {
    const data = file(examples.length);
    await files.put('t', data, examples);
    const goesOn = job({ trainingFile: data.id, model: `start@${'b'.repeat(64)}` });
    await jobs.add('t', goesOn);
    start = { config: Buffer.from('no config'), model: Buffer.from('no tensors') };
    const trainer = childTrainer(path.resolve('dist/app/training-child.js'), place);
    await worker(trainer).run({ tenant: 't', id: goesOn.id }, never);
    const error = (await jobs.get('t', goesOn.id))?.error;
    expect(error).toMatchObject({ code: 'invalid_value', param: 'model', message: expect.stringMatching(/^model: /) });
    expect(error?.message).not.toContain(directory);
  });

  it('kills a training process that does not stop: the job is cancelled, or goes on later', async () => {
    const deaf = childTrainer(path.resolve('test/support/deaf-child.mjs'), place, 100);
    const leave = new AbortController();
    const interrupted = worker((task, options) => {
      leave.abort();
      return deaf(task, options);
    });
    expect(await interrupted.run(ref, leave.signal)).toBe('interrupted');
    expect([await record(), await isThere()]).toMatchObject([{ status: 'running', error: null }, true]);

    const cancelled = worker(async (task, options) => {
      await jobs.change('t', ref.id, ['running'], { status: 'cancelled' });
      return deaf(task, options);
    });
    expect(await cancelled.run(ref, never)).toBe('done');
    expect([await record(), await isThere()]).toMatchObject([{ status: 'cancelled', error: null }, false]);
    expect([uploads, ends]).toEqual([[], ['interrupted', 'cancelled']]);
    const events = (await jobs.events('t', ref.id, { limit: 9 })).data;
    expect(events.filter(({ level }) => level !== 'info')).toEqual([]);
  });

  it('has training stopped that has not begun, with nothing left of it', async () => {
    const { trainingFile } = (await record())!;
    await files.delete('t', trainingFile);
    await files.put('t', { ...file(examples.length), id: trainingFile }, examples);
    const trainer = childTrainer(path.resolve('dist/app/training-child.js'), place);
    expect(await worker(trainer).run(ref, AbortSignal.abort())).toBe('interrupted');
    expect(await fs.readdir(path.join(directory, ref.id))).toEqual(['training_file.jsonl']);
  });

  it('publishes what was trained until its time was over, and says so', async () => {
    const limits: number[] = [];
    const late: Trainer = async (task, options) => {
      limits.push(task.maxSeconds);
      await trained(task, options);
      return 'time_limit';
    };
    expect(await worker(late).run(ref, never)).toBe('done');
    expect([await record(), uploads, limits]).toMatchObject([{ status: 'succeeded' }, ['t/mine'], [60]]);
    const message = 'Training was ended after 60 s, which is as long as one job may train here';
    expect((await jobs.events('t', ref.id, { limit: 9 })).data).toContainEqual(
      expect.objectContaining({ level: 'warn', message }),
    );
  });

  it('stops for a cancellation, and keeps nothing', async () => {
    const untilStopped: Trainer = async (_, { signal }) => {
      await jobs.change('t', ref.id, ['running'], { status: 'cancelled' });
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return 'interrupted';
    };
    expect(await worker(untilStopped).run(ref, never)).toBe('done');
    expect([await record(), uploads, ends, await isThere()]).toMatchObject([
      { status: 'cancelled' },
      [],
      ['cancelled'],
      false,
    ]);
  });

  it('goes on with its own copy of what was deleted since it was interrupted, where that is whole', async () => {
    const [config, model] = [Buffer.from('config'), Buffer.from('model')];
    const { trainingFile } = (await record())!;
    const goesOn = job({ trainingFile, validationFile: trainingFile, model: `start@${'b'.repeat(64)}` });
    await jobs.add('t', goesOn);
    const run = (trainer: Trainer, leaving: AbortSignal) =>
      worker(trainer).run({ tenant: 't', id: goesOn.id }, leaving);
    const own = path.join(directory, goesOn.id);
    // What a process leaves that is killed while it writes.
    await fs.mkdir(own, { recursive: true });
    await fs.writeFile(path.join(own, 'training_file.jsonl.draft'), '{');
    const stopped: Trainer = async () => 'interrupted';
    start = { config, model };
    expect(await run(stopped, AbortSignal.abort())).toBe('interrupted');
    await files.delete('t', trainingFile);
    start = undefined;
    const copies: string[] = [];
    const read: Trainer = async (task, options) => {
      const adapter = [CONFIG_FILE, MODEL_FILE].map((name) => path.join(task.adapter!, name));
      for (const each of [task.train, task.valid!, ...adapter]) copies.push(await fs.readFile(each, 'utf8'));
      return trained(task, options);
    };
    expect(await run(read, never)).toBe('done');
    expect((await jobs.get('t', goesOn.id))?.error).toBeNull();
    expect(copies).toEqual(['{}\n', '{}\n', 'config', 'model']);
  });

  it('finishes a job whose prefix is being stored, which nobody can cancel then, also when it is taken up again', async () => {
    const tuning = new FineTuning({
      files: { check: async () => undefined },
      store: jobs,
      queue: undefined,
      fingerprint: FINGERPRINT,
      maxUnfinished: 9,
      now: Date.now,
    });
    const isRefused = () => expect(tuning.cancel('t', ref.id)).rejects.toMatchObject({ code: 'job_finished' });
    const leave = new AbortController();
    upload = async () => {
      await isRefused();
      leave.abort();
      throw new StoreError('prefixes', 'unavailable');
    };
    await expect(worker(trained).run(ref, leave.signal)).rejects.toMatchObject({ code: 'store_unavailable' });
    upload = isRefused;
    const again: Trainer = () => Promise.reject(new Error('it is trained already'));
    await worker(again).run(ref, never);
    expect([await record(), uploads]).toMatchObject([{ status: 'succeeded', error: null }, ['t/mine']]);
    const messages = (await jobs.events('t', ref.id, { limit: 9 })).data.map(({ message }) => message);
    expect(messages).not.toContain('The job was cancelled');
  });

  it('leaves a job as it is when it has to go, and when the store goes', async () => {
    const leaving = AbortSignal.abort();
    const stopped: Trainer = async () => 'interrupted';
    expect(await worker(stopped).run(ref, leaving)).toBe('interrupted');
    expect([(await record())?.status, await isThere()]).toEqual(['running', true]);

    // What is trained is kept until the store is back, or the worker has to go.
    const leave = new AbortController();
    upload = () => {
      leave.abort();
      return Promise.reject(new StoreError('prefixes', 'unavailable'));
    };
    await expect(worker(trained).run(ref, leave.signal)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect((await record())?.status).toBe('finishing');
    upload = () => Promise.reject(new PrefixError('prefix_quota_exceeded', 'name: 2 of at most 2 prefixes are used'));
    await worker(trained).run(ref, never);
    expect((await record())?.error).toMatchObject({ code: 'prefix_quota_exceeded', param: 'name' });
  });
});
