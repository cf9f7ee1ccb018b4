import type { EngineObserver } from './observer.js';
import { ObserverPair } from './observer-pair.js';
import type { Schedule } from './policy/schedule.js';
import type { Sequence } from './sequence.js';

/** What is told of the tokens of a step. */
interface ComputedStep {
  /** Decode rows. */
  readonly rows: number;
  /** When it ended, in seconds. */
  readonly end: number;
}

/** Tells the engine's observer, and those of single sequences, of sequences and schedules. */
export class Observation {
  constructor(private observer: EngineObserver | undefined) {}

  /**
   * Tells `watcher` of everything too, until the returned function is called. Without a watcher it costs nothing.
   * @throws Error while there is another watcher
   */
  watch(watcher: EngineObserver): () => void {
    const own = this.observer;
    if (own instanceof ObserverPair) throw new Error('the engine has a watcher already');
    this.observer = own === undefined ? watcher : new ObserverPair(own, watcher);
    return () => void (this.observer = own);
  }

  /** Seconds of a clock that only goes forward. */
  now(): number {
    return performance.now() / 1000;
  }

  admitted({
    submittedAt,
    numCachedTokens,
    numReusedTokens,
    request,
    priority,
    observer,
    isAuxiliary,
  }: Sequence): void {
    if (isAuxiliary) return;
    if (priority === 'interactive') this.observer?.admitted(this.now() - submittedAt);
    if (numCachedTokens !== undefined) this.observer?.promptLookedUp(request.prompt.length, numCachedTokens);
    observer?.admitted(numReusedTokens);
  }

  /** A step was computed. @param start when it began */
  stepped({ decode, chunk }: Schedule<Sequence>, start: number): ComputedStep {
    const end = this.now();
    const kind = chunk === undefined ? 'decode' : decode.length === 0 ? 'prefill' : 'mixed';
    this.observer?.stepped({ kind, rows: decode.length, chunkTokens: chunk?.numTokens ?? 0, seconds: end - start });
    return { rows: decode.length, end };
  }

  /** Call it before the token that a step has computed for a sequence is chosen, and only where it will be: who has left has no token. */
  tokenComputed(sequence: Sequence, { rows, end }: ComputedStep): void {
    if (sequence.request.maxTokens === 0 || sequence.isRepeating) return;
    if (sequence.numGeneratedTokens === 0) {
      this.observer?.firstToken(waited(sequence, end - sequence.submittedAt));
      sequence.observer?.firstToken(rows);
    } else this.observer?.nextToken(waited(sequence, end - sequence.lastTokenAt));
    sequence.lastTokenAt = end;
    sequence.numObservedTokens++;
  }

  /** A draft of `drafted` tokens was verified, and `accepted` of them were right. */
  verified(drafted: number, accepted: number): void {
    this.observer?.verified(drafted, accepted);
  }

  /** A piece of a source was encoded. @param start when that began */
  encoded({ isSourceEncoded, numSourceTokens }: Sequence, start: number): void {
    const chunkTokens = isSourceEncoded ? numSourceTokens : 0;
    this.observer?.stepped({ kind: 'encode', rows: 0, chunkTokens, seconds: this.now() - start });
  }

  ended(sequence: Sequence): void {
    if (sequence.isAuxiliary) return;
    const { finishReason: reason = 'abort', request, numObservedTokens, submittedAt, observer } = sequence;
    const seconds = waited(sequence, this.now() - submittedAt);
    const { length: promptTokens } = request.source ?? request.prompt;
    const end = { reason, promptTokens, generatedTokens: numObservedTokens, seconds };
    this.observer?.ended(end);
    observer?.ended(end);
  }
}

/** Seconds that somebody has waited for a sequence; undefined for background work. */
function waited({ priority }: Sequence, seconds: number): number | undefined {
  return priority === 'interactive' ? seconds : undefined;
}
