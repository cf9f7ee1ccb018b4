import { createInterface } from 'node:readline';

/** Request to a peer, one line of JSON: generate `count` tokens greedily after each prompt, all prompts in one batch. */
export interface PeerRequest {
  readonly prompts: readonly (readonly number[])[];
  readonly count: number;
  /** Beams of a search that finds each prompt's best continuation; greedy unless given. Times are then those of the end. */
  readonly beams?: number;
}

/** Answer to a request, one line of JSON. */
export interface PeerAnswer {
  /** Generated tokens of each prompt. */
  readonly ids: readonly (readonly number[])[];
  /** Times of each prompt's tokens, in milliseconds since an arbitrary moment. */
  readonly arrivals: readonly (readonly number[])[];
}

/** First line of a peer, printed once it accepts requests. */
export interface PeerGreeting {
  /** Exact versions of the peer's packages. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Request to a trainer, one line of JSON: train a prefix for some steps, all examples in one batch. */
export interface TrainRequest {
  /** Token ids of the examples; those of `target` are learned. */
  readonly examples: readonly { readonly source: readonly number[]; readonly target: readonly number[] }[];
  readonly steps: number;
}

/** Answer to a request, one line of JSON. */
export interface TrainAnswer {
  readonly seconds: number;
  /** Mean loss of a learned token before the last step, in nats. */
  readonly loss: number;
}

/** Runs a peer that is a Node program: prints the greeting, then answers every line of standard input. */
export async function answerRequests(
  greeting: PeerGreeting,
  answer: ((request: PeerRequest) => Promise<PeerAnswer>) | ((request: TrainRequest) => Promise<TrainAnswer>),
): Promise<void> {
  console.log(JSON.stringify(greeting));
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(JSON.parse(line) as never)));
  }
}
