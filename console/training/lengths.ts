import { call } from '../api/client.js';
import { ApiFailure } from '../api/errors.js';
import type { Example } from './examples.js';

/** How long examples are, in tokens, of those that were measured. */
export interface Lengths {
  /** Tokens of an example by its line: prompt, completion and end token; `null` is more than the context has room for. */
  readonly byLine: ReadonlyMap<number, number | null>;
  /** Of the longest example, as far as it was measured. */
  readonly longest: number | null;
}

/** Examples that are measured: the first, which are shown, and those with the longest lines. */
const FIRST = 3;
const LONGEST = 5;

interface Counted {
  readonly usage: { readonly prompt_tokens: number };
}

/** Measures the first examples and the longest ones with the model's own tokenizer: prompts without any token behind them. */
export async function measureLengths(examples: readonly Example[], model: string): Promise<Lengths> {
  const byLength = [...examples].sort((a, b) => b.source.length - a.source.length);
  const measured = new Set([...examples.slice(0, FIRST), ...byLength.slice(0, LONGEST)]);
  const byLine = new Map<number, number | null>();
  for (const example of measured) {
    const length = await lengthOf(example, model);
    if (length !== undefined) byLine.set(example.line, length);
  }
  const known = [...byLine.values()];
  return { byLine, longest: known.includes(null) ? null : Math.max(0, ...known.flatMap((length) => length ?? [])) };
}

/** Tokens of an example with its end token; null: more than fit; undefined: a conversation, whose template only the server knows. */
async function lengthOf({ prompt, completion, messages }: Example, model: string): Promise<number | null | undefined> {
  if (messages !== undefined) return undefined;
  try {
    const [first, second] = [await countTokens(prompt, model), await countTokens(completion, model)];
    return first + second + 1;
  } catch (error) {
    if (error instanceof ApiFailure && error.code === 'context_length_exceeded') return null;
    throw error;
  }
}

async function countTokens(text: Example['prompt'], model: string): Promise<number> {
  if (typeof text !== 'string') return text.length;
  if (text === '') return 0;
  const { usage } = await call<Counted>('completions', { json: { model, prompt: text, max_tokens: 0 } });
  return usage.prompt_tokens;
}
