/** What the lengths of drafts are chosen by. */
export interface DraftState {
  /** For each row of the step: how likely each token of its draft is to be accepted with all those before it. Never rises. */
  readonly chances: readonly (readonly number[])[];
  /** Cost of a step whose longest row has so many tokens, and all rows together so many, over a step of one token a row. */
  readonly costOf: (longest: number, tokens: number) => number;
  /** Most tokens of all rows together. */
  readonly maxTokens: number;
}

/** Lengths of drafts, and what they promise. */
export interface DraftLengths {
  /** Tokens of each row's draft to verify. */
  readonly lengths: readonly number[];
  /** Expected tokens a second, over those without drafts. */
  readonly gain: number;
}

/** Longest drafts that are weighed: one more token than that is the longest row. */
export const DRAFT_LENGTHS = [1, 2, 4, 8] as const;
/** Drafts that promise less are not worth the error of the estimates. */
const LEAST_GAIN = 1.03;

/**
 * Policy of drafting: the lengths that promise the most tokens a second. For each length that the longest draft may have, tokens are
 * taken in the order of their chances, while the step gains by them.
 * @returns undefined where drafts promise nothing
 */
export function chooseDraftLengths(state: DraftState): DraftLengths | undefined {
  let best: DraftLengths | undefined;
  for (const most of DRAFT_LENGTHS) {
    const found = weigh(state, most);
    if (found.gain > (best?.gain ?? LEAST_GAIN)) best = found;
    if (state.chances.every(({ length }) => length <= most)) break;
  }
  return best;
}

function weigh({ chances, costOf, maxTokens }: DraftState, most: number): DraftLengths {
  const rows = chances.length;
  const candidates = chances
    .flatMap((row, index) => row.slice(0, most).map((chance) => ({ index, chance })))
    .sort((a, b) => b.chance - a.chance);
  const lengths = chances.map(() => 0);
  let best: DraftLengths = { lengths: [...lengths], gain: 0 };
  let expected = rows;
  let tokens = rows;
  let longest = 1;
  for (const { index, chance } of candidates) {
    if (tokens === maxTokens) break;
    const length = (lengths[index] = (lengths[index] ?? 0) + 1);
    tokens++;
    expected += chance;
    longest = Math.max(longest, length + 1);
    const gain = expected / rows / costOf(longest, tokens);
    if (gain > best.gain) best = { lengths: [...lengths], gain };
  }
  return best;
}
