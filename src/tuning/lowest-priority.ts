import fs from 'node:fs';
import os from 'node:os';

/** `nice`, from 0 on: the most there is, and so the lowest priority. */
const LOWEST = 19;
const THREADS = '/proc/self/task';

/**
 * Gives this process the lowest priority. On Linux a priority is a thread's, and by the time a program runs, Node's pool has
 * threads already, which ONNX Runtime will run on: each is set by itself. Threads made later inherit it.
 */
export function takeLowestPriority(): void {
  const threads = process.platform === 'linux' ? fs.readdirSync(THREADS).map(Number) : [process.pid];
  for (const thread of threads) os.setPriority(thread, LOWEST);
}
