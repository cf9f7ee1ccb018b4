/** One alternative at a token's place. */
export interface Alternative {
  /** The token as text. */
  readonly text: string;
  /** Natural logarithm of its probability. */
  readonly logprob: number;
}

/** One token of an answer. */
export interface Token {
  /** Where its text begins in the answer, in UTF-16 units. */
  readonly offset: number;
  /** The token's own name; it differs from its text where that is held back, or is only part of a character. */
  readonly name: string;
  readonly logprob: number;
  /** The likeliest tokens of its place, likeliest first. */
  readonly alternatives: readonly Alternative[];
}

/** What one column has of its answer. */
export interface Answer {
  readonly status: 'waiting' | 'streaming' | 'done' | 'failed' | 'stopped';
  readonly text: string;
  /** Empty where log-probabilities were not asked for. */
  readonly tokens: readonly Token[];
  /** When each token arrived, in milliseconds since the run began. */
  readonly arrivals: readonly number[];
  readonly finishReason: 'stop' | 'length' | undefined;
  /** Why it failed, in words. */
  readonly problem: string | undefined;
}

/** An answer of which nothing is there. */
export const WAITING: Answer = {
  status: 'waiting',
  text: '',
  tokens: [],
  arrivals: [],
  finishReason: undefined,
  problem: undefined,
};

/** What a chunk of a stream adds to an answer. */
export interface Addition {
  readonly text: string;
  readonly tokens: readonly Token[];
  /** All tokens so far; undefined where the chunk does not say. */
  readonly tokensSoFar: number | undefined;
  readonly finishReason: 'stop' | 'length' | null;
}

/** An answer with one more chunk. @param now milliseconds since the run began */
export function addTo(answer: Answer, { text, tokens, tokensSoFar, finishReason }: Addition, now: number): Answer {
  const known = answer.arrivals.length;
  const arrived = Math.max(0, (tokensSoFar ?? known + tokens.length) - known);
  return {
    ...answer,
    status: finishReason === null ? (answer.status === 'waiting' ? 'streaming' : answer.status) : 'done',
    text: answer.text + text,
    tokens: tokens.length === 0 ? answer.tokens : [...answer.tokens, ...tokens],
    arrivals: arrived === 0 ? answer.arrivals : [...answer.arrivals, ...new Array<number>(arrived).fill(now)],
    finishReason: finishReason ?? answer.finishReason,
  };
}

/** Speed of an answer. Undefined: there are too few tokens to say. */
export interface Speed {
  /** Milliseconds from the run's beginning to the first token. */
  readonly firstToken: number | undefined;
  /** Tokens a second after the first. */
  readonly perSecond: number | undefined;
}

/** How fast an answer came, as the browser saw it. */
export function speedOf({ arrivals }: Answer): Speed {
  const [first, last] = [arrivals.at(0), arrivals.at(-1)];
  if (first === undefined || last === undefined || last <= first) return { firstToken: first, perSecond: undefined };
  const later = arrivals.filter((at) => at > first).length;
  return { firstToken: first, perSecond: (1000 * later) / (last - first) };
}

/** The part of an answer's text that each token wrote; tokens that wrote nothing have an empty one. */
export function piecesOf({ text, tokens }: Answer): string[] {
  return tokens.map(({ offset }, index) => text.slice(offset, tokens[index + 1]?.offset ?? text.length));
}
