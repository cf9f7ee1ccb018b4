/** A generated text, and at least one reference to compare it with. */
export interface ScoredText {
  readonly hypothesis: string;
  readonly references: readonly string[];
}
