import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

import { endChild, pauseChild, resumeChild, startChild } from '../process/child.js';
import type { PeerAnswer, PeerGreeting, PeerRequest, TrainAnswer, TrainRequest } from './protocol.js';

/** Program that speaks the protocol of `protocol.ts`. */
export interface PeerCommand {
  readonly program: string;
  readonly args: readonly string[];
  /** Environment variables beside the bench's own. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * A peer in a process of its own. The process is stopped between requests, so that none of its threads spins while others are measured.
 * One request at a time.
 */
export class PeerProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly lines: AsyncIterator<string>,
    readonly versions: PeerGreeting['versions'],
  ) {}

  /** Starts a peer and waits for its greeting. @throws Error if the program ends before that */
  static async start({ program, args, env }: PeerCommand): Promise<PeerProcess> {
    const child = startChild(program, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    child.once('error', () => undefined); // its output ends, which is told
    const lines = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]();
    try {
      const { versions } = await nextLine<PeerGreeting>(lines);
      const peer = new PeerProcess(child, lines, versions);
      pauseChild(child);
      return peer;
    } catch (error) {
      await endChild(child);
      throw error;
    }
  }

  get pid(): number {
    return this.child.pid as number;
  }

  async generate(request: PeerRequest): Promise<PeerAnswer> {
    const answer = await this.#ask<PeerAnswer>(request);
    const counts = answer.arrivals.map((times) => times.length);
    if (counts.length !== request.prompts.length || counts.some((count) => count !== request.count)) {
      throw new Error(`asked for ${request.prompts.length} x ${request.count} tokens, got ${counts.join(', ')}`);
    }
    return answer;
  }

  train(request: TrainRequest): Promise<TrainAnswer> {
    return this.#ask(request);
  }

  async #ask<Answer>(request: PeerRequest | TrainRequest): Promise<Answer> {
    resumeChild(this.child);
    (this.child.stdin as Writable).write(`${JSON.stringify(request)}\n`);
    const answer = await nextLine<Answer>(this.lines);
    pauseChild(this.child);
    return answer;
  }

  close(): Promise<void> {
    return endChild(this.child);
  }
}

/** Reads lines until one is JSON: libraries may print other lines before it. */
async function nextLine<T>(lines: AsyncIterator<string>): Promise<T> {
  for (;;) {
    const next = await lines.next();
    if (next.done) throw new Error('the program ended; what it said is above');
    if (next.value.startsWith('{')) return JSON.parse(next.value) as T;
  }
}
