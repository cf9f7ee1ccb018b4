import { SpanStatusCode, trace, type Attributes, type Context, type Span, type Tracer } from '@opentelemetry/api';

import type { ObservedEnd, SequenceObserver } from '../engine/observer.js';

const OPERATION = 'text_completion';

/** Tracer, parent and clock of a sequence's spans. */
export interface SequenceTraceOptions {
  readonly tracer: Tracer;
  /** Context of the request's span. */
  readonly parent: Context;
  /** Id of the base model. */
  readonly modelName: string;
  /** Current time, in milliseconds since 1970. */
  readonly now: () => number;
}

/** The spans of one sequence: one for the whole and, below it, one for each phase (waiting, prefill, decode). */
export class SequenceTrace implements SequenceObserver {
  readonly #tracer: Tracer;
  readonly #now: () => number;
  readonly #span: Span;
  readonly #context: Context;
  #phase: Span;
  #hasEnded = false;

  constructor({ tracer, parent, modelName, now }: SequenceTraceOptions) {
    this.#tracer = tracer;
    this.#now = now;
    const startTime = now();
    const attributes = { 'gen_ai.operation.name': OPERATION, 'gen_ai.request.model': modelName };
    this.#span = tracer.startSpan(`${OPERATION} ${modelName}`, { startTime, attributes }, parent);
    this.#context = trace.setSpan(parent, this.#span);
    this.#phase = this.#start('waiting', startTime);
  }

  admitted(reusedTokens: number): void {
    const now = this.#now();
    this.#phase.end(now);
    this.#phase = this.#start('prefill', now, { 'preamble.prompt.reused_tokens': reusedTokens });
  }

  /** Ends the prefill phase and starts the decode phase. */
  firstToken(rows: number): void {
    if (this.#hasEnded) return; // cancelled during the step
    const now = this.#now();
    this.#phase.setAttribute('preamble.step.rows', rows).end(now);
    this.#phase = this.#start('decode', now).addEvent('first token', now);
  }

  ended({ reason, promptTokens, generatedTokens }: ObservedEnd): void {
    const now = this.#now();
    this.#hasEnded = true;
    this.#phase.end(now);
    if (reason === 'error') this.#span.setStatus({ code: SpanStatusCode.ERROR });
    const attributes = {
      'gen_ai.usage.input_tokens': promptTokens,
      'gen_ai.usage.output_tokens': generatedTokens,
      'gen_ai.response.finish_reasons': [reason],
    };
    this.#span.setAttributes(attributes).end(now);
  }

  #start(name: string, startTime: number, attributes: Attributes = {}): Span {
    return this.#tracer.startSpan(name, { startTime, attributes }, this.#context);
  }
}
