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

/** A peer's side, for those that are programs of Node: says hello, then answers every line of standard input. */
export async function answerRequests(
  greeting: PeerGreeting,
  generate: (request: PeerRequest) => Promise<PeerAnswer>,
): Promise<void> {
  console.log(JSON.stringify(greeting));
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await generate(JSON.parse(line) as PeerRequest)));
  }
}
