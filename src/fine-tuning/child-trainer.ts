import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

import { TuningError } from '../tuning/errors.js';
import type { Stop } from '../tuning/training/trainer.js';
import { type FromChild, STOP_WITHIN_MS, type ToChild, type TrainingHost } from './child-messages.js';
import { type Trainer, TrainingCrashedError, TrainingDiskError, type TrainingOptions } from './trainer.js';

/**
 * A trainer that runs each training in a process of its own, so that serving does not wait for it and survives its crash. The process ends
 * with this one. It stays in this one's session: in a session of its own, its low priority would count only among its own processes.
 * @param script the compiled `training-child.ts`
 * @param stopWithinMs time after which a process that was told to stop is killed
 */
export function childTrainer(script: string, host: TrainingHost, stopWithinMs = STOP_WITHIN_MS): Trainer {
  return async (task, { signal, ...listeners }) => {
    const child = fork(script, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const tell = (message: ToChild): void => {
      if (child.connected) child.send(message);
    };
    let late: NodeJS.Timeout | undefined;
    const stop = (): void => {
      tell({ type: 'stop' });
      late = setTimeout(() => child.kill('SIGKILL'), stopWithinMs);
    };
    tell({ type: 'train', host, task });
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
    try {
      return await outcome(child, signal, listeners);
    } finally {
      signal.removeEventListener('abort', stop);
      clearTimeout(late);
    }
  };
}

async function outcome(
  child: ChildProcess,
  stopped: AbortSignal,
  { onProgress, onTooLong }: Pick<TrainingOptions, 'onProgress' | 'onTooLong'>,
): Promise<Stop> {
  let end: Exclude<FromChild, { type: 'progress' | 'too_long' }> | undefined;
  child.on('message', (message: FromChild) => {
    if (message.type === 'progress') onProgress(message.line);
    else if (message.type === 'too_long') onTooLong(message);
    else end = message;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (end?.type === 'done') return end.stop;
  if (end?.type === 'refused')
    throw new TuningError(end.subject, end.problem, { where: end.where, remedy: end.remedy });
  if (end?.type === 'disk') throw new TrainingDiskError(end.code, end.syscall);
  if (stopped.aborted) return 'interrupted';
  throw new TrainingCrashedError(`the training process ended with ${signal ?? `status ${code}`}`);
}
