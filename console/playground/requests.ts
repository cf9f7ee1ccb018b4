import type { ChatRequest, CompletionRequest } from '../api/types.js';
import type { Parameters } from './parameters.js';
import type { Setup } from './setup.js';

/** Alternatives of each token that a run asks for. */
const ALTERNATIVES = 5;

/** One exchange of a conversation. */
export interface Exchange {
  readonly said: string;
  /** What the column's model answered. */
  readonly answered: string;
}

/** The request of one column, as the API takes it: a completion, without what only shows how the answer comes about. */
export function completionOf(setup: Setup, model: string): CompletionRequest {
  return { model, prompt: setup.prompt, ...settingsOf(setup) };
}

/**
 * The request of one column's conversation.
 * @param exchanges what was said before, with this column's answers
 */
export function chatOf(setup: Setup, model: string, exchanges: readonly Exchange[]): ChatRequest {
  const messages: ChatRequest['messages'] = [
    ...(setup.system === '' ? [] : [{ role: 'system' as const, content: setup.system }]),
    ...exchanges.flatMap(({ said, answered }) => [
      { role: 'user' as const, content: said },
      { role: 'assistant' as const, content: answered },
    ]),
    { role: 'user', content: setup.prompt },
  ];
  const { max_tokens, ...settings } = settingsOf(setup);
  return { model, messages, ...(max_tokens !== undefined && { max_completion_tokens: max_tokens }), ...settings };
}

/** Asks for the tokens so far with each chunk. */
const COUNTED = { stream_options: { include_usage: true, continuous_usage_stats: true } };

/** A completion request with what a column shows: log-probabilities, and the tokens so far. */
export function observedCompletion(request: CompletionRequest, withProbabilities: boolean): CompletionRequest {
  return { ...request, ...COUNTED, ...(withProbabilities && { logprobs: ALTERNATIVES }) };
}

/** A chat request with what a column shows, as a stream. */
export function observedChat(request: ChatRequest, withProbabilities: boolean): ChatRequest {
  const probabilities = withProbabilities && { logprobs: true, top_logprobs: ALTERNATIVES };
  return { ...request, stream: true, ...COUNTED, ...probabilities };
}

/** What completions and conversations have in common. */
type Common = Parameters & { readonly stop?: string[] };

function settingsOf({ parameters, stop }: Setup): Common {
  return { ...parameters, ...(stop !== '' && { stop: [stop] }) };
}
