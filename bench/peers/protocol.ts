import { createInterface } from 'node:readline';

/** What a peer is asked, one line of JSON: generate `count` tokens greedily after each prompt, all prompts in one batch. */
export interface PeerRequest {
  readonly prompts: readonly (readonly number[])[];
  readonly count: number;
}

/** Its answer, one line of JSON. */
export interface PeerAnswer {
  /** For each prompt, the tokens it was continued with. */
  readonly ids: readonly (readonly number[])[];
  /** For each prompt, when each of them was there: milliseconds from any moment. */
  readonly arrivals: readonly (readonly number[])[];
}

/** The first line of a peer, once it can be asked. */
export interface PeerGreeting {
  /** Exact versions of what runs. */
  readonly versions: Readonly<Record<string, string>>;
}

/** What a trainer is asked, one line of JSON: train a prefix for some steps, all examples in one batch. */
export interface TrainRequest {
  /** Token ids, in all equally many of each example; those of `target` are learned. */
  readonly examples: readonly { readonly source: readonly number[]; readonly target: readonly number[] }[];
  readonly steps: number;
}

/** Its answer, one line of JSON. */
export interface TrainAnswer {
  readonly seconds: number;
  /** Mean of a learned token before the last step, nats. */
  readonly loss: number;
}

/** A peer's side, for those that are programs of Node: says hello, then answers every line of standard input. */
export async function answerRequests(
  greeting: PeerGreeting,
  answer: ((request: PeerRequest) => Promise<PeerAnswer>) | ((request: TrainRequest) => Promise<TrainAnswer>),
): Promise<void> {
  console.log(JSON.stringify(greeting));
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(JSON.parse(line) as never)));
  }
}
