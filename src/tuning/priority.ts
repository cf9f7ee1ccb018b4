import fs from 'node:fs';
import os from 'node:os';

const THREADS = '/proc/self/task';

/**
 * Gives this process a lower priority. On Linux a priority is a thread's, and by the time a program runs, Node's pool has
 * threads already, which ONNX Runtime will run on: each is set by itself. Threads made later inherit it.
 * @param nice 0, as others, to 19, what others leave
 */
export function takePriority(nice: number): void {
  const threads = process.platform === 'linux' ? fs.readdirSync(THREADS).map(Number) : [process.pid];
  for (const thread of threads) os.setPriority(thread, nice);
}
