import type { ModelRunner, Span, StepInput } from '../engine/runner.js';

/** Sizes that a step and a slot must keep to. */
export interface StepLimits extends Pick<ModelRunner, 'slots' | 'contextLength' | 'vocabularySize' | 'maxRowTokens'> {
  readonly maxChunkTokens: number;
  /** Positions of a slot: the context, or more where virtual tokens are not counted. */
  readonly positions: number;
}

/** Checks what a runner is given: native code takes everything at its word, and a wrong id or position there is a crash. */
export class StepCheck {
  constructor(private readonly limits: StepLimits) {}

  /** @throws RangeError for a step that is not computed */
  step({ rows, topK, isVerifying = false }: StepInput): void {
    const { vocabularySize } = this.limits;
    if (rows.length === 0) throw new RangeError('a step needs a row');
    if (!(topK >= 1 && topK <= vocabularySize)) throw new RangeError(`topK ${topK} is not 1 to the vocabulary`);
    let tokens = 0;
    rows.forEach((span, row) => {
      this.#span(span, row, row === rows.length - 1, isVerifying);
      tokens += span.tokens.length;
    });
    const most = maxTokensOf(this.limits);
    if (tokens > most) throw new RangeError(`a step of ${tokens} tokens: ${most} fit`);
  }

  /** @throws RangeError for a slot that there is not */
  slot(slot: number): void {
    if (!Number.isInteger(slot) || slot < 0 || slot >= this.limits.slots) throw new RangeError(`slot ${slot}`);
  }

  /** @throws RangeError for tokens behind `past` that a slot has no room for */
  range(past: number, tokens: number): void {
    const { positions } = this.limits;
    if (!Number.isInteger(past) || past < 0 || tokens < 0 || past + tokens > positions) {
      throw new RangeError(`positions ${past} to ${past + tokens} do not fit a slot of ${positions}`);
    }
  }

  #span(span: Span, row: number, isLast: boolean, isVerifying: boolean): void {
    const { maxChunkTokens, maxRowTokens, contextLength } = this.limits;
    const { slot, tokens, past } = span;
    this.slot(slot);
    if (isLast ? slot < row : slot !== row) throw new RangeError(`row ${row} is in slot ${slot}`);
    if (isVerifying && slot !== row) throw new RangeError(`row ${row} of drafts is in slot ${slot}`);
    const limit = isLast && !(isVerifying && row > 0) ? maxChunkTokens : maxRowTokens;
    if (tokens.length === 0 || tokens.length > limit) {
      throw new RangeError(`row ${row} has ${tokens.length} tokens: 1 to ${limit} are possible`);
    }
    for (const token of tokens) this.#token(token);
    this.range(past, tokens.length);
    const position = positionOf(span);
    if (!Number.isInteger(position) || position < 0 || position > past || position + tokens.length > contextLength) {
      throw new RangeError(`position ${position} behind ${past}: the context is ${contextLength}`);
    }
  }

  #token(id: number): void {
    if (!Number.isInteger(id) || id < 0 || id >= this.limits.vocabularySize) throw new RangeError(`token id ${id}`);
  }
}

/** Most tokens of a step. */
export function maxTokensOf({ slots, contextLength }: Pick<ModelRunner, 'slots' | 'contextLength'>): number {
  return slots + contextLength;
}

/** Position that a span's first token is embedded with. */
export function positionOf({ past, position = past }: Span): number {
  return position;
}

/** Positions in a span's slot after the step. */
export function lengthAfter({ past, tokens }: Span): number {
  return past + tokens.length;
}
