import type { Priority } from '../request.js';

/** A sequence that may share its prompt. */
export interface PromptSharer {
  /** As in `GenerationRequest`. */
  readonly priority: Priority;
  /** As in `GenerationRequest`. */
  readonly promptGroup: symbol | undefined;
  /** Whether all of the prompt but its last token has keys and values. */
  readonly isPromptComputed: boolean;
}

/**
 * Finds the running sequence of the same prompt group that a waiting one can take its prompt's keys and values from. However far
 * that one has come, its slot begins with the prefix and the prompt.
 */
export function findPromptSource<S extends PromptSharer>(
  { promptGroup, priority }: PromptSharer,
  running: readonly S[],
): S | undefined {
  if (promptGroup === undefined) return undefined;
  return running.find((one) => one.promptGroup === promptGroup && one.priority === priority && one.isPromptComputed);
}
