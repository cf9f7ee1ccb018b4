import type { EngineObserver } from './observer.js';
import type { Schedule } from './scheduler.js';
import type { Sequence } from './sequence.js';
import { sampledSequences } from './step-input.js';

/** What the engine tells its observer, made of sequences and schedules. Without an observer nothing is told. */
export class Observation {
  constructor(private readonly observer: EngineObserver | undefined) {}

  /** Seconds of a clock that only goes forward. */
  now(): number {
    return performance.now() / 1000;
  }

  admitted({ submittedAt, numCachedTokens, request }: Sequence): void {
    this.observer?.admitted(this.now() - submittedAt);
    if (numCachedTokens !== undefined) this.observer?.promptLookedUp(request.prompt.length, numCachedTokens);
  }

  /** Call it before the tokens that the step has computed are chosen. @param start when the step began */
  stepped(plan: Schedule<Sequence>, start: number): void {
    const end = this.now();
    const { decode, chunk } = plan;
    const kind = chunk === undefined ? 'decode' : decode.length === 0 ? 'prefill' : 'mixed';
    this.observer?.stepped({ kind, rows: decode.length, chunkTokens: chunk?.numTokens ?? 0, seconds: end - start });
    for (const sequence of sampledSequences(plan)) {
      if (sequence.request.maxTokens === 0) continue;
      if (sequence.numGeneratedTokens === 0) this.observer?.firstToken(end - sequence.submittedAt);
      else this.observer?.nextToken(end - sequence.lastTokenAt);
      sequence.lastTokenAt = end;
    }
  }

  ended({ finishReason: reason = 'abort', request, numGeneratedTokens: generatedTokens, submittedAt }: Sequence): void {
    const promptTokens = request.prompt.length;
    this.observer?.ended({ reason, promptTokens, generatedTokens, seconds: this.now() - submittedAt });
  }
}
