import { SpanKind, SpanStatusCode, trace, type Context, type Span, type Tracer } from '@opentelemetry/api';
import { AnchoredClock } from '@opentelemetry/core';

import type { SequenceObserver } from '../engine/observer.js';
import { SequenceTrace } from './sequence-trace.js';

/** An HTTP request at its start. */
export interface StartedRequest {
  /** Request id, as in the log; made of characters that are safe there. */
  readonly id: string;
  readonly method: string;
  /** Pattern of the route; undefined when no route matches. */
  readonly route: string | undefined;
}

/** A loaded prefix: where it came from, and its number of virtual tokens. */
interface PrefixLoad {
  readonly source: 'memory' | 'store';
  readonly kv: { readonly length: number };
}

/** The spans of one HTTP request. */
export class RequestTrace {
  /** One clock for all spans of the request: the SDK's own start times are whole milliseconds. */
  readonly #clock = new AnchoredClock(Date, performance);
  readonly #span: Span;
  readonly #context: Context;

  /**
   * @param parent context of the caller's span, or the root context
   * @param modelName id of the base model
   */
  constructor(
    private readonly tracer: Tracer,
    parent: Context,
    { id, method, route }: StartedRequest,
    private readonly modelName: string,
  ) {
    const attributes = { 'http.request.method': method, 'http.route': route, 'preamble.request.id': id };
    const name = route === undefined ? method : `${method} ${route}`;
    const startTime = this.#clock.now();
    this.#span = tracer.startSpan(name, { kind: SpanKind.SERVER, startTime, attributes }, parent);
    this.#context = trace.setSpan(parent, this.#span);
  }

  /** False when the sampler drops this trace. */
  get isRecording(): boolean {
    return this.#span.isRecording();
  }

  /** Adds a span that lasts as long as `loading`, and returns the loaded prefix. */
  async prefixLoad<T extends PrefixLoad>(loading: Promise<T>): Promise<T> {
    const span = this.tracer.startSpan('prefix load', { startTime: this.#clock.now() }, this.#context);
    try {
      const prefix = await loading;
      const { source, kv } = prefix;
      span.setAttributes({ 'preamble.prefix.source': source, 'preamble.prefix.tokens': kv.length });
      return prefix;
    } finally {
      span.end(this.#clock.now());
    }
  }

  /** Starts the spans of one sequence, which is waiting from now on. */
  sequence(): SequenceObserver {
    const { tracer, modelName } = this;
    return new SequenceTrace({ tracer, modelName, parent: this.#context, now: () => this.#clock.now() });
  }

  /**
   * Records that the answer, or a part of it, is an error.
   * @param code a code of the server's error table
   */
  failed({ code, status }: { readonly code: string; readonly status: number }): void {
    this.#span.setAttribute('error.type', code);
    if (status >= 500) this.#span.setStatus({ code: SpanStatusCode.ERROR });
  }

  /** Ends the request's span: the answer was sent, or the connection is gone. */
  end(status: number): void {
    this.#span.setAttribute('http.response.status_code', status).end(this.#clock.now());
  }
}
