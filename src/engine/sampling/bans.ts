/** What decides which tokens a sequence may not generate next. */
export interface BanHistory {
  /** Prompt and generated tokens, without the source. */
  readonly tokens: readonly number[];
  readonly numGeneratedTokens: number;
  /** Tokens that end the sequence. */
  readonly endTokens: ReadonlySet<number>;
  readonly request: {
    readonly minTokens: number;
    readonly maxTokens: number;
    readonly forcedFirstToken?: number | undefined;
    readonly forcedLastToken?: number | undefined;
    readonly noRepeatNgramSize?: number | undefined;
  };
}

const none: ReadonlySet<number> = new Set();

/** The token that comes next, whatever the model says; undefined where the model chooses. It goes before all bans. */
export function forcedToken({ request, numGeneratedTokens }: BanHistory): number | undefined {
  const { forcedFirstToken, forcedLastToken, maxTokens } = request;
  if (forcedLastToken !== undefined && numGeneratedTokens === maxTokens - 1) return forcedLastToken;
  return numGeneratedTokens === 0 ? forcedFirstToken : undefined;
}

/** Tokens that may not come next: end tokens before `minTokens`, and those that would repeat an n-gram. */
export function bannedTokens({ tokens, numGeneratedTokens, endTokens, request }: BanHistory): ReadonlySet<number> {
  const { minTokens, noRepeatNgramSize = 0 } = request;
  const ends = numGeneratedTokens < minTokens ? endTokens : none;
  const repeating = noRepeatNgramSize > 0 ? repeatingTokens(tokens, noRepeatNgramSize) : none;
  if (repeating.size === 0) return ends;
  return ends.size === 0 ? repeating : new Set([...ends, ...repeating]);
}

/** Tokens that would make the last `size` tokens a run that is there already, as Transformers' `NoRepeatNGramLogitsProcessor` bans. */
function repeatingTokens(tokens: readonly number[], size: number): ReadonlySet<number> {
  const start = tokens.length + 1 - size;
  if (start <= 0) return none;
  const repeating = new Set<number>();
  for (let at = 0; at < start; at++) {
    let matching = 0;
    while (matching < size - 1 && tokens[at + matching] === tokens[start + matching]) matching++;
    const next = tokens[at + size - 1];
    if (matching === size - 1 && next !== undefined) repeating.add(next);
  }
  return repeating;
}
