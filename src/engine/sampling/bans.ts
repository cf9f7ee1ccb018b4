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
    readonly badWords?: readonly (readonly number[])[] | undefined;
  };
}

const none: ReadonlySet<number> = new Set();

/** The token that comes next, whatever the model says; undefined where the model chooses. It goes before all bans. */
export function forcedToken({ request, numGeneratedTokens }: BanHistory): number | undefined {
  const { forcedFirstToken, forcedLastToken, maxTokens } = request;
  if (forcedLastToken !== undefined && numGeneratedTokens === maxTokens - 1) return forcedLastToken;
  return numGeneratedTokens === 0 ? forcedFirstToken : undefined;
}

/** Whether more tokens may be banned behind further ones; else only fewer are, once `minTokens` are there. */
export function bansGrow({ noRepeatNgramSize = 0, badWords = [] }: BanHistory['request']): boolean {
  return noRepeatNgramSize > 0 || badWords.length > 0;
}

/** Tokens that may not come next: end tokens before `minTokens`, those that would repeat an n-gram, and those that would end a bad word. */
export function bannedTokens(history: BanHistory): ReadonlySet<number> {
  const { tokens, numGeneratedTokens, endTokens, request } = history;
  const { minTokens, noRepeatNgramSize = 0, badWords } = request;
  const ends = numGeneratedTokens < minTokens ? endTokens : none;
  const repeating = noRepeatNgramSize > 0 ? repeatingTokens(tokens, noRepeatNgramSize) : none;
  const wordEnds = badWords === undefined ? none : endsOfBadWords(badWords, history);
  return union(union(ends, repeating), wordEnds);
}

function union(a: ReadonlySet<number>, b: ReadonlySet<number>): ReadonlySet<number> {
  if (b.size === 0) return a;
  return a.size === 0 ? b : new Set([...a, ...b]);
}

/** Last tokens of the words whose other tokens were just generated. As in vLLM, a word that begins in the prompt may be gone on with. */
function endsOfBadWords(
  words: readonly (readonly number[])[],
  { tokens, numGeneratedTokens }: BanHistory,
): ReadonlySet<number> {
  const begun = words.filter((word) => {
    const start = tokens.length + 1 - word.length;
    if (word.length > numGeneratedTokens + 1) return false;
    return word.slice(0, -1).every((id, i) => tokens[start + i] === id);
  });
  return new Set(begun.flatMap((word) => word.at(-1) ?? []));
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
