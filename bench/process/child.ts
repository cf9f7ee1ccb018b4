import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';

/** Starts a program that ends with the bench, however the bench ends. */
export function startChild(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const child = spawn(command, args, options);
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  return child;
}

/** Stops all threads of a program until it is resumed; has no effect on Windows. */
export function pauseChild(child: ChildProcess): void {
  if (process.platform !== 'win32') child.kill('SIGSTOP');
}

export function resumeChild(child: ChildProcess): void {
  if (process.platform !== 'win32') child.kill('SIGCONT');
}

/** Ends a program with SIGTERM and waits until it is gone. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  resumeChild(child); // one that is stopped would not hear the signal
  child.kill('SIGTERM');
  await gone;
}
