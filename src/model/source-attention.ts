import type { Span } from '../engine/runner.js';
import type { Binding } from '../runtime/ort/session.js';
import type { KvArena } from './backend/arena/kv-arena.js';
import type { CrossForm } from './cross-attention.js';
import type { StepBuffers } from './step-buffers.js';

/** Source slots that the tokens of a step attend to. */
export interface SourceAttentionParts {
  /** Keys and values of the site `cross`. */
  readonly arena: KvArena;
  /** How the sessions compute cross-attention. */
  readonly form: CrossForm;
  readonly buffers: StepBuffers;
  /** Rows in a source slot; 0 where no source is encoded. Throws RangeError for a slot that there is not. */
  readonly lengthOf: (slot: number) => number;
}

/** The part of a step that is cross-attention: which tokens attend to which source slot. See `CrossAttention`. */
export class SourceAttention {
  constructor(private readonly parts: SourceAttentionParts) {}

  /** @throws RangeError for a span without a source that is encoded */
  check(spans: readonly Span[]): void {
    spans.forEach(({ source }, row) => {
      if (source === undefined) throw new RangeError(`row ${row} has no source`);
      if (this.parts.lengthOf(source) === 0) throw new RangeError(`source slot ${source} of row ${row} is empty`);
    });
  }

  /** Binds the source slots of a step that was checked: one alone, or all from the first one on, whoever uses those between. */
  bind(binding: Binding, spans: readonly Span[]): void {
    const tokensBySource = groupTokens(spans);
    const used = [...tokensBySource.keys()];
    const first = used.length === 1 ? (used[0] as number) : 0;
    const slots = Math.max(...used) - first + 1;
    const queries = Math.max(...[...tokensBySource.values()].map(({ length }) => length));
    const { buffers, arena, form, lengthOf } = this.parts;
    const { grid, ungrid, crossLengths, crossLongest } = buffers;
    let longest = 1;
    for (let slot = 0; slot < slots; slot++) {
      const tokens = tokensBySource.get(first + slot) ?? [];
      for (let query = 0; query < queries; query++)
        grid[slot * queries + query] = BigInt(tokens[query] ?? tokens[0] ?? 0);
      tokens.forEach((token, query) => (ungrid[token] = BigInt(slot * queries + query)));
      const length = tokens.length === 0 ? 1 : lengthOf(first + slot);
      crossLengths[slot] = length - 1;
      longest = Math.max(longest, length);
    }
    buffers.input(binding, 'grid', 'int64', [slots, queries]);
    buffers.input(binding, 'ungrid', 'int64', [spans.reduce((sum, { tokens }) => sum + tokens.length, 0)]);
    buffers.input(binding, 'cross_lengths', 'int32', [slots]);
    if (form === 'fused') {
      // The operator takes several queries of several slots, or of a slot that is shorter, only where it believes that there is no past.
      crossLongest[0] = queries > 1 ? queries : longest;
      buffers.input(binding, 'cross_longest', 'int32', [1]);
    }
    arena.bind(binding, 'cross', first, slots, form === 'fused' ? 1 : 0);
  }
}

/** Indices of a step's tokens by the source slot that they attend to. */
function groupTokens(spans: readonly Span[]): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  let token = 0;
  for (const { source = 0, tokens } of spans) {
    const group = groups.get(source) ?? [];
    groups.set(source, group);
    for (let i = 0; i < tokens.length; i++) group.push(token++);
  }
  return groups;
}
