import type { ChoiceWriter } from './choice.js';
import type { Usage } from './schema.js';

/**
 * The tokens of a completion so far. A prompt counts once however many choices it has, as OpenAI counts it; a generated token counts
 * whether its choice is returned or not. Of a beam search the tokens of its hypotheses count, and not those of beams that were
 * dropped. The first choice of a prompt finds it in the prompt cache, and the others copy it.
 * @param virtualTokens of the prefix
 * @param writers as many for each prompt, in the order of the prompts
 */
export function usageOf(
  prompts: readonly (readonly number[])[],
  virtualTokens: number,
  writers: readonly ChoiceWriter[],
): Usage {
  const choices = writers.length / prompts.length;
  const promptTokens = prompts.reduce((sum, { length }) => sum + length, 0);
  const completionTokens = writers.reduce((sum, { tokens }) => sum + tokens, 0);
  const cachedTokens = writers.reduce((sum, { cachedTokens: own }, i) => sum + (i % choices === 0 ? own : 0), 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { prefix_tokens: virtualTokens * prompts.length, cached_tokens: cachedTokens },
  };
}

/** The tokens of several completions together. */
export function sumUsage(usages: readonly Usage[]): Usage {
  const sum = (count: (usage: Usage) => number): number => usages.reduce((total, usage) => total + count(usage), 0);
  return {
    prompt_tokens: sum((usage) => usage.prompt_tokens),
    completion_tokens: sum((usage) => usage.completion_tokens),
    total_tokens: sum((usage) => usage.total_tokens),
    prompt_tokens_details: {
      prefix_tokens: sum((usage) => usage.prompt_tokens_details.prefix_tokens),
      cached_tokens: sum((usage) => usage.prompt_tokens_details.cached_tokens),
    },
  };
}
