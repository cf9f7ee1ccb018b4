import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

import type { TuneResult } from '../tuning/tune.js';
import type { FromChild, ToChild, TrainingModelPlace } from './child-messages.js';
import { type Trainer, TrainingCrashedError, TrainingRefusedError } from './trainer.js';

/**
 * Trains in a process of its own, so that serving does not wait for training and a crash of the one is none of the other. The process ends
 * with this one. It is of the same session: in one of its own, its low priority would count among its own processes only.
 * @param script the compiled `training-child.ts`
 */
export function childTrainer(script: string, place: TrainingModelPlace): Trainer {
  return async (task, { signal, onProgress }) => {
    const child = fork(script, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const tell = (message: ToChild): void => {
      if (child.connected) child.send(message);
    };
    const stop = (): void => tell({ type: 'stop' });
    tell({ type: 'train', place, task });
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
    try {
      return await outcome(child, onProgress);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  };
}

async function outcome(
  child: ChildProcess,
  onProgress: (line: Extract<FromChild, { type: 'progress' }>['line']) => void,
): Promise<TuneResult> {
  let end: Exclude<FromChild, { type: 'progress' }> | undefined;
  child.on('message', (message: FromChild) => {
    if (message.type === 'progress') onProgress(message.line);
    else end = message;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (end?.type === 'done') return end.result;
  if (end?.type === 'refused') throw new TrainingRefusedError(end.message);
  throw new TrainingCrashedError(`the training process ended with ${signal ?? `status ${code}`}`);
}
