import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

import { endChild, startChild } from '../child.js';
import type { PeerAnswer, PeerGreeting, PeerRequest } from './protocol.js';

/** A program that answers as `protocol.ts` says. */
export interface PeerCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * A peer in a process of its own, which is stopped whenever it is not asked: no thread of it spins while others are measured.
 * One request at a time.
 */
export class PeerProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly lines: AsyncIterator<string>,
    readonly versions: PeerGreeting['versions'],
  ) {}

  /** Starts it and waits until it can be asked. Throws when it ends before that. */
  static async start({ program, args, env }: PeerCommand): Promise<PeerProcess> {
    const child = startChild(program, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
    child.once('error', () => undefined); // its output ends, which is told
    const lines = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]();
    try {
      const { versions } = await nextLine<PeerGreeting>(lines);
      const peer = new PeerProcess(child, lines, versions);
      child.kill('SIGSTOP');
      return peer;
    } catch (error) {
      await endChild(child);
      throw error;
    }
  }

  async generate(request: PeerRequest): Promise<PeerAnswer> {
    this.child.kill('SIGCONT');
    (this.child.stdin as Writable).write(`${JSON.stringify(request)}\n`);
    const answer = await nextLine<PeerAnswer>(this.lines);
    this.child.kill('SIGSTOP');
    const counts = answer.arrivals.map((times) => times.length);
    if (counts.length !== request.prompts.length || counts.some((count) => count !== request.count)) {
      throw new Error(`asked for ${request.prompts.length} x ${request.count} tokens, got ${counts.join(', ')}`);
    }
    return answer;
  }

  close(): Promise<void> {
    return endChild(this.child);
  }
}

/** Programs may print other things before what is for us. */
async function nextLine<T>(lines: AsyncIterator<string>): Promise<T> {
  for (;;) {
    const next = await lines.next();
    if (next.done) throw new Error('the program ended; what it said is above');
    if (next.value.startsWith('{')) return JSON.parse(next.value) as T;
  }
}
