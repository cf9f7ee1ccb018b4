import type { Binding } from '../../runtime/ort/session.js';

/** Where the logits of a step are. */
export interface Logits {
  /** Binds the output `logits` of a step that computes `rows` rows. */
  bind(binding: Binding, rows: number): void;
  /** `[vocabulary]` one row of the last step; valid until the next one. */
  row(index: number): Float32Array;
  dispose(): void;
}
