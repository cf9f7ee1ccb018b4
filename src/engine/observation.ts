import type { EngineObserver } from './observer.js';
import type { Schedule } from './policy/schedule.js';
import type { Sequence } from './sequence.js';
import { sampledSequences } from './step/step-input.js';

/** Tells the engine's observer, and those of single sequences, of sequences and schedules. */
export class Observation {
  constructor(private readonly observer: EngineObserver | undefined) {}

  /** Seconds of a clock that only goes forward. */
  now(): number {
    return performance.now() / 1000;
  }

  admitted({ submittedAt, numCachedTokens, numReusedTokens, request, observer }: Sequence): void {
    this.observer?.admitted(this.now() - submittedAt);
    if (numCachedTokens !== undefined) this.observer?.promptLookedUp(request.prompt.length, numCachedTokens);
    observer?.admitted(numReusedTokens);
  }

  /** Call it before the tokens that the step has computed are chosen. @param start when the step began */
  stepped(plan: Schedule<Sequence>, start: number): void {
    const end = this.now();
    const { decode, chunk } = plan;
    const kind = chunk === undefined ? 'decode' : decode.length === 0 ? 'prefill' : 'mixed';
    this.observer?.stepped({ kind, rows: decode.length, chunkTokens: chunk?.numTokens ?? 0, seconds: end - start });
    for (const sequence of sampledSequences(plan)) {
      if (sequence.request.maxTokens === 0 || sequence.isRepeating) continue;
      if (sequence.numGeneratedTokens === 0) {
        this.observer?.firstToken(end - sequence.submittedAt);
        sequence.observer?.firstToken(decode.length);
      } else this.observer?.nextToken(end - sequence.lastTokenAt);
      sequence.lastTokenAt = end;
    }
  }

  /** A piece of a source was encoded. @param start when that began */
  encoded({ isSourceEncoded, numSourceTokens }: Sequence, start: number): void {
    const chunkTokens = isSourceEncoded ? numSourceTokens : 0;
    this.observer?.stepped({ kind: 'encode', rows: 0, chunkTokens, seconds: this.now() - start });
  }

  ended({ finishReason: reason = 'abort', request, numGeneratedTokens, submittedAt, observer }: Sequence): void {
    const seconds = this.now() - submittedAt;
    const { length: promptTokens } = request.source ?? request.prompt;
    const end = { reason, promptTokens, generatedTokens: numGeneratedTokens, seconds };
    this.observer?.ended(end);
    observer?.ended(end);
  }
}
