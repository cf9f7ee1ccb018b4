import type { Sequence } from '../sequence.js';

/** What has to be known of a sequence to share its prompt. */
export interface Sibling {
  /** As in `GenerationRequest`. */
  readonly siblings: symbol | undefined;
  /** Whether all of the prompt but its last token has keys and values. */
  readonly isPromptComputed: boolean;
}

/**
 * The running sibling that a waiting sequence can take its prompt's keys and values from; undefined when none has computed them.
 * However far a sibling has come, its slot begins with the prefix and the prompt.
 */
export function findSource<S extends Sibling>({ siblings }: Sibling, running: readonly S[]): S | undefined {
  if (siblings === undefined) return undefined;
  return running.find((one) => one.siblings === siblings && one.isPromptComputed);
}

/**
 * Books all of the source's prompt but its last token as computed in a sequence that waits, and sends the scores if it asks for
 * them. The sequence is a decode row then, once its slot has them.
 */
export function sharePrompt(source: Sequence, sequence: Sequence): void {
  sequence.numComputedTokens = sequence.request.prompt.length - 1;
  if (sequence.isPromptScored) sequence.sendPromptScores(source.family[0].promptScores);
}
