import { dirname, sep } from 'node:path';

import { type FromChild, STOP_WITHIN_MS, type ToChild, type TrainingHost } from '../fine-tuning/child-messages.js';
import { toTuneSettings } from '../fine-tuning/settings.js';
import type { TrainingTask } from '../fine-tuning/trainer.js';
import { systemError } from '../lib/system-error.js';
import { openTrainingModel } from './open/training-model.js';
import { readExamples } from '../tuning/data/read-examples.js';
import { type DataSubject, TuningError } from '../tuning/errors.js';
import { takePriority } from '../tuning/priority.js';
import type { ProgressLine } from '../tuning/progress/progress-meter.js';
import type { Stop } from '../tuning/training/trainer.js';
import { tune } from '../tuning/tune.js';

// The process in which one fine-tuning job trains. `childTrainer` starts it and exchanges messages with it.

const stop = new AbortController();
process.on('message', (message: ToChild) => {
  if (message.type === 'stop') stop.abort();
  else {
    takePriority(message.host.nice);
    void run(message.host, message.task);
  }
});
// The server is gone. Training stops with a checkpoint after its step; if that takes too long, this process kills itself.
process.on('disconnect', () => {
  stop.abort();
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), STOP_WITHIN_MS).unref();
});
// Ignored: a terminal's Ctrl-C reaches this process too, but the server decides when it stops.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);

async function run(host: TrainingHost, task: TrainingTask): Promise<void> {
  try {
    await tell({ type: 'done', stop: await train(host, task) });
  } catch (error) {
    const failed = systemError(error) ?? systemError((error as Error).cause); // the cause of a `ConfigError`
    if (error instanceof TuningError) await tell(refusal(error, task));
    else if (failed) await tell({ type: 'disk', code: failed.code ?? '', syscall: failed.syscall ?? '' });
    else if (error !== stop.signal.reason) throw error;
  }
  if (process.connected) process.disconnect();
}

async function train(host: TrainingHost, task: TrainingTask): Promise<Stop> {
  const { training, base, tokenizer, conversation } = await openTrainingModel({ ...host, spin: 'off' }); // others need the cores
  try {
    const { signal } = stop;
    const read = (file: string, subject: DataSubject) =>
      readExamples(file, { subject, format: 'jsonl', separator: '', conversation, signal });
    const result = await tune({
      model: training,
      base,
      encoder: tokenizer,
      settings: toTuneSettings(task.settings),
      adapter: task.adapter,
      train: await read(task.train, 'train'),
      valid: task.valid === undefined ? undefined : await read(task.valid, 'valid'),
      out: task.out,
      maxSeconds: task.maxSeconds,
      signal,
      onProgress: report,
      onTooLong: (long) => void tell({ type: 'too_long', ...long }),
    });
    return result.stop;
  } finally {
    await training.dispose();
  }
}

/** The error as the job's owner may read it: files are named without the path to the job's directory, and the adapter's is the server's. */
function refusal({ subject, problem, where, remedy }: TuningError, { train }: TrainingTask): FromChild {
  const hidePath = (text: string): string => text.replaceAll(`${dirname(train)}${sep}`, '');
  const place = subject === 'adapter' || where === undefined ? undefined : hidePath(where);
  return { type: 'refused', subject, problem: hidePath(problem), where: place, remedy };
}

let reported = -Infinity;

/** Reports every validation, and of the steps about two a second, to spare the server. */
function report(line: ProgressLine): void {
  if (!('valid_loss' in line.point) && performance.now() - reported < 500) return;
  reported = performance.now();
  void tell({ type: 'progress', line });
}

/** Sends a message; resolves also when the server is gone. */
function tell(message: FromChild): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}
