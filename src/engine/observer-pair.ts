import type { EngineObserver, ObservedEnd, ObservedStep } from './observer.js';

/** Tells two observers of everything, the first one first. */
export class ObserverPair implements EngineObserver {
  constructor(
    private readonly first: EngineObserver,
    private readonly second: EngineObserver,
  ) {}

  admitted(seconds: number): void {
    this.first.admitted(seconds);
    this.second.admitted(seconds);
  }

  promptLookedUp(tokens: number, cached: number): void {
    this.first.promptLookedUp(tokens, cached);
    this.second.promptLookedUp(tokens, cached);
  }

  stepped(step: ObservedStep): void {
    this.first.stepped(step);
    this.second.stepped(step);
  }

  firstToken(seconds: number | undefined): void {
    this.first.firstToken(seconds);
    this.second.firstToken(seconds);
  }

  nextToken(seconds: number | undefined): void {
    this.first.nextToken(seconds);
    this.second.nextToken(seconds);
  }

  verified(drafted: number, accepted: number): void {
    this.first.verified(drafted, accepted);
    this.second.verified(drafted, accepted);
  }

  ended(end: ObservedEnd): void {
    this.first.ended(end);
    this.second.ended(end);
  }
}
