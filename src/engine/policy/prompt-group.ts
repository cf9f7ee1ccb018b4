import type { Priority } from '../priority.js';

/** A sequence that may share its prompt. */
export interface PromptSharer {
  /** As in `GenerationRequest`. */
  readonly priority: Priority;
  /** As in `GenerationRequest`. */
  readonly promptGroup: symbol | undefined;
}

/**
 * Finds the sequence of the same prompt group that a waiting one can take its prompt's keys and values from.
 * @param holders sequences whose slots begin with their prefixes and prompts, however far they have come
 */
export function findPromptSource<S extends PromptSharer>(
  { promptGroup, priority }: PromptSharer,
  holders: readonly S[],
): S | undefined {
  if (promptGroup === undefined) return undefined;
  return holders.find((one) => one.promptGroup === promptGroup && one.priority === priority);
}
