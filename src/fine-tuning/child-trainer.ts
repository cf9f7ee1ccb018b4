import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

import { TuningError } from '../tuning/errors.js';
import type { Stop } from '../tuning/training/trainer.js';
import { type FromChild, STOP_WITHIN, type ToChild, type TrainingHost } from './child-messages.js';
import { type Trainer, TrainingCrashedError } from './trainer.js';

/**
 * Trains in a process of its own, so that serving does not wait for training and a crash of the one is none of the other. The process ends
 * with this one. It is of the same session: in one of its own, its low priority would count among its own processes only.
 * @param script the compiled `training-child.ts`
 * @param stopWithin the process is killed that has not stopped by then. Milliseconds.
 */
export function childTrainer(script: string, host: TrainingHost, stopWithin = STOP_WITHIN): Trainer {
  return async (task, { signal, onProgress }) => {
    const child = fork(script, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const tell = (message: ToChild): void => {
      if (child.connected) child.send(message);
    };
    let late: NodeJS.Timeout | undefined;
    const stop = (): void => {
      tell({ type: 'stop' });
      late = setTimeout(() => child.kill('SIGKILL'), stopWithin);
    };
    tell({ type: 'train', host, task });
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
    try {
      return await outcome(child, signal, onProgress);
    } finally {
      signal.removeEventListener('abort', stop);
      clearTimeout(late);
    }
  };
}

async function outcome(
  child: ChildProcess,
  stopped: AbortSignal,
  onProgress: (line: Extract<FromChild, { type: 'progress' }>['line']) => void,
): Promise<Stop> {
  let end: Exclude<FromChild, { type: 'progress' }> | undefined;
  child.on('message', (message: FromChild) => {
    if (message.type === 'progress') onProgress(message.line);
    else end = message;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (end?.type === 'done') return end.stop;
  if (end?.type === 'refused') throw new TuningError(end.subject, end.problem, { where: end.where });
  if (stopped.aborted) return 'interrupted';
  throw new TrainingCrashedError(`the training process ended with ${signal ?? `status ${code}`}`);
}
