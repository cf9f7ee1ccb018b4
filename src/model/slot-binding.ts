import type { Span } from '../engine/runner.js';
import type { Binding } from '../runtime/ort/session.js';
import type { KvArena } from './backend/arena/kv-arena.js';
import { nodeName } from './graph-names.js';
import type { StepBuffers } from './step-buffers.js';
import { lengthAfter } from './step-check.js';
import type { StepLayout } from './step-layout.js';

/** Binds a step's tokens, and the slots that they are written to. */
export class SlotBinding {
  constructor(
    private readonly buffers: StepBuffers,
    private readonly arena: KvArena,
  ) {}

  /** @param tokens all of the step, whose ids and positions are in the buffers */
  bind(binding: Binding, { rows, chunk, nodes }: StepLayout, tokens: number): void {
    this.buffers.input(binding, 'ids', 'int64', [tokens]);
    this.buffers.input(binding, 'positions', 'int64', [tokens]);
    if (nodes > 1) this.#chain(binding, rows, nodes);
    else if (chunk === undefined || rows.length > 0) this.rows(binding, 0, rows.map(lengthAfter));
    else this.rows(binding, chunk.slot, [lengthAfter(chunk)]);
    if (rows.length > 0 && chunk !== undefined) this.#chunk(binding, tokens - chunk.tokens.length, chunk);
    else if (nodes === 1) this.#shape(binding, Math.max(rows.length, 1), tokens);
  }

  #shape(binding: Binding, rows: number, tokens: number): void {
    this.buffers.layout.set([BigInt(rows), BigInt(tokens / rows), -1n]);
    this.buffers.input(binding, 'shape', 'int64', [3], 'layout');
  }

  /** Binds a chunk behind `rowTokens` tokens of rows. */
  #chunk(binding: Binding, rowTokens: number, chunk: Span): void {
    const { layout, chunkLengths, chunkLongest } = this.buffers;
    layout.set([BigInt(rowTokens), BigInt(chunk.tokens.length)]);
    this.buffers.input(binding, 'split', 'int64', [2], 'layout');
    chunkLongest[0] = lengthAfter(chunk);
    chunkLengths[0] = chunkLongest[0] - 1;
    this.buffers.input(binding, 'chunk_lengths', 'int32', [1]);
    this.buffers.input(binding, 'chunk_longest', 'int32', [1]);
    this.arena.bind(binding, 'chunk', chunk.slot, 1, 1);
  }

  /** Binds consecutive slots as the group `rows`; `lengths` are theirs after the run. */
  rows(binding: Binding, firstSlot: number, lengths: readonly number[]): void {
    const { rowsLengths, rowsLongest } = this.buffers;
    lengths.forEach((length, row) => (rowsLengths[row] = length - 1));
    rowsLongest[0] = Math.max(...lengths);
    this.buffers.input(binding, 'rows_lengths', 'int32', [lengths.length]);
    this.buffers.input(binding, 'rows_longest', 'int32', [1]);
    this.arena.bind(binding, 'rows', firstSlot, lengths.length, 1);
  }

  /** Binds rows of up to `nodes` tokens, from slot 0 on. Node i computes each row's token i, counted so that all rows end together. */
  #chain(binding: Binding, rows: readonly Span[], nodes: number): void {
    const { rowsLengths, rowsLongest, rowsTokens, order } = this.buffers;
    rowsLongest.fill(0);
    let first = 0;
    rows.forEach(({ past, tokens }, row) => {
      for (let node = 0; node < nodes; node++) {
        const index = Math.max(0, node - (nodes - tokens.length));
        const place = node * rows.length + row;
        rowsTokens[place] = BigInt(first + index);
        order[first + index] = BigInt(place); // of a token that is repeated, the last
        rowsLengths[place] = past + index;
        rowsLongest[node] = Math.max(rowsLongest[node] as number, past + index + 1);
      }
      first += tokens.length;
    });
    const { buffers, arena } = this;
    for (let node = 0; node < nodes; node++) {
      const name = nodeName('rows', node);
      buffers.input(binding, `${name}_tokens`, 'int64', [rows.length, 1], 'rows_tokens', node * rows.length);
      buffers.input(binding, `${name}_lengths`, 'int32', [rows.length], 'rows_lengths', node * rows.length);
      buffers.input(binding, `${name}_longest`, 'int32', [1], 'rows_longest', node);
    }
    buffers.input(binding, 'order', 'int64', [first]);
    arena.bind(binding, 'rows', 0, rows.length, nodes);
  }
}
