import type { ModelRunner } from '../runner.js';
import { chooseDraftLengths, DRAFT_LENGTHS } from '../policy/draft-lengths.js';
import type { Schedule } from '../policy/schedule.js';
import type { Sequence } from '../sequence.js';
import type { AcceptedTokens, DraftPlanner, Drafts } from './draft-planner.js';
import type { Drafter, DraftToken } from './drafter.js';
import { PlainTime } from './plain-time.js';
import { StepCost } from './step-cost.js';

/** What is asked of a runner. */
type Verifier = Pick<ModelRunner, 'slots' | 'contextLength' | 'canVerify'>;

const LONGEST_DRAFT = Math.max(...DRAFT_LENGTHS);
/** Most steps in a row that go without drafts, for so many rows, because drafts promised nothing. */
const MOST_SKIPPED = 16;
/** What that begins with: the first two times cost no further step. */
const LEAST_SKIPPED = 1 / 8;

/** What is known of steps with one number of rows. */
interface Experience {
  /** Seconds of a step without drafts. */
  readonly plain: PlainTime;
  readonly cost: StepCost;
  /** Steps still to go without looking for drafts, and half of what it will be the next time that they promise nothing; below 1: none. */
  skip: number;
  nextSkip: number;
}

/** Chooses the drafts of each step, by what they promise and what steps were measured to cost. */
export class Drafting implements DraftPlanner {
  readonly #experience: (Experience | undefined)[] = [];

  constructor(
    private readonly drafter: Drafter,
    private readonly runner: Verifier,
  ) {}

  get bytes(): number {
    return this.drafter.bytes;
  }

  /** There are none beside a chunk of a prompt or a piece of a source: others wait for it, and drafts would make the step longer. */
  plan({ decode, chunk, piece }: Schedule<Sequence>): Drafts | undefined {
    if (decode.length === 0 || chunk !== undefined || piece !== undefined) return undefined;
    const experience = this.#of(decode.length);
    if (experience.plain.isDue) return undefined;
    if (experience.skip > 0) {
      experience.skip--;
      return undefined;
    }
    const drafts = this.#choose(decode, experience.cost);
    experience.nextSkip = drafts === undefined ? Math.min(MOST_SKIPPED, 2 * experience.nextSkip) : LEAST_SKIPPED;
    experience.skip = drafts === undefined ? Math.floor(experience.nextSkip) : 0;
    return drafts;
  }

  stepped({ decode, chunk }: Schedule<Sequence>, drafts: Drafts | undefined, seconds: number): void {
    if (decode.length === 0 || chunk !== undefined) return;
    const { plain, cost } = this.#of(decode.length);
    if (drafts === undefined) {
      plain.note(seconds);
      return;
    }
    const lengths = drafts.map(({ length }) => length);
    const tokens = lengths.reduce((sum, length) => sum + length, decode.length);
    plain.noteDrafts();
    cost.note(1 + Math.max(...lengths), tokens, seconds / plain.mean);
  }

  learn(sequence: Sequence, { tokens }: AcceptedTokens): void {
    if (tokens > 0) this.drafter.learn(sequence, tokens);
  }

  #choose(decode: readonly Sequence[], cost: StepCost): Drafts | undefined {
    const { slots, contextLength } = this.runner;
    const rows = decode.length;
    const guesses = decode.map((sequence) => this.#guess(sequence));
    const chosen = chooseDraftLengths({
      chances: guesses.map(chancesOf),
      costOf: (longest, tokens) => cost.of(longest, tokens),
      maxTokens: slots + contextLength,
    });
    if (chosen === undefined) return undefined;
    const most = this.#mostThatIsReady(rows, Math.max(...chosen.lengths));
    if (most === 0) return undefined;
    return guesses.map((guess, row) => guess.slice(0, Math.min(most, chosen.lengths[row] ?? 0)).map(({ id }) => id));
  }

  /** The longest draft, of at most `longest` tokens, that the runner can verify now; 0 if none. */
  #mostThatIsReady(rows: number, longest: number): number {
    const isReady = (length: number): boolean => this.runner.canVerify(rows, length + 1);
    if (isReady(longest)) return longest;
    return DRAFT_LENGTHS.findLast((length) => length < longest && isReady(length)) ?? 0;
  }

  /** Nothing behind a token that ends the sequence, or behind its last one, is worth a guess. */
  #guess(sequence: Sequence): readonly DraftToken[] {
    const { request, numGeneratedTokens, endTokens, status, group } = sequence;
    const most = Math.min(LONGEST_DRAFT, request.maxTokens - numGeneratedTokens - 1);
    if (most <= 0 || group !== undefined || status === 'finished') return [];
    const guess = this.drafter.draft(sequence, most);
    const end = guess.findIndex(({ id }) => endTokens.has(id));
    return end < 0 ? guess : guess.slice(0, end);
  }

  #of(rows: number): Experience {
    return (this.#experience[rows] ??= {
      plain: new PlainTime(),
      cost: new StepCost(rows),
      skip: 0,
      nextSkip: LEAST_SKIPPED,
    });
  }
}

/** How likely each token of a guess is to be accepted: it and all those before it are right. */
function chancesOf(guess: readonly DraftToken[]): number[] {
  let chance = 1;
  return guess.map(({ probability }) => (chance *= probability));
}
