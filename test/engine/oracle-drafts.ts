import type { AcceptedTokens, DraftPlanner, Drafts } from '../../src/engine/drafting/draft-planner.js';
import type { Schedule } from '../../src/engine/policy/schedule.js';
import type { GenerationRequest } from '../../src/engine/request.js';
import type { Sequence } from '../../src/engine/sequence.js';
import { mix } from './mix.js';

/** Drafts as good as what comes, as bad as can be, or right up to some token; ragged ones differ in length from row to row. */
export const ORACLES = ['right', 'wrong', 'half right', 'ragged'] as const;
export type OracleKind = (typeof ORACLES)[number];

/** Drafts for requests whose outputs are known from an engine without drafts. */
export class OracleDrafts implements DraftPlanner {
  readonly bytes = 0;
  /** Tokens of drafts, and those of them that came true. */
  numDrafted = 0;
  numAccepted = 0;
  #known = new Map<GenerationRequest, readonly number[]>();

  constructor(
    private readonly kind: OracleKind,
    private readonly vocabularySize: number,
    private readonly longest = 5,
  ) {}

  /** Tells it what an engine answers. */
  know(request: GenerationRequest, ids: readonly number[]): void {
    this.#known.set(request, ids);
  }

  plan({ decode }: Schedule<Sequence>): Drafts | undefined {
    const drafts = decode.map((sequence, row) => this.#draft(sequence, row));
    return drafts.some(({ length }) => length > 0) ? drafts : undefined;
  }

  stepped(): void {
    // What a step costs is nothing to it.
  }

  learn(_: Sequence, { tokens, drafted, accepted }: AcceptedTokens): void {
    if (tokens === 0) return; // cancelled
    this.numDrafted += drafted;
    this.numAccepted += accepted;
  }

  #draft({ request, numGeneratedTokens, group, status }: Sequence, row: number): number[] {
    const ids = this.#known.get(request);
    const most = request.maxTokens - numGeneratedTokens - 1;
    if (ids === undefined || group !== undefined || status === 'finished' || most <= 0) return [];
    const turn = mix(numGeneratedTokens, row);
    const length = Math.min(most, this.kind === 'ragged' ? turn % (this.longest + 1) : this.longest);
    const right = ids.slice(numGeneratedTokens, numGeneratedTokens + length);
    return right.map((id, i) => {
      const isWrong = this.kind === 'wrong' || (this.kind !== 'right' && i >= mix(turn, 7) % (this.longest + 1));
      return isWrong ? (id + 1 + (turn % 5)) % this.vocabularySize : id;
    });
  }
}
