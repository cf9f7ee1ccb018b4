import { SpanKind, SpanStatusCode, trace, type Context, type Span, type Tracer } from '@opentelemetry/api';
import { AnchoredClock } from '@opentelemetry/core';

import type { SequenceObserver } from '../engine/observer.js';
import { SequenceTrace } from './sequence-trace.js';

/** An HTTP request that begins. */
export interface StartedRequest {
  /** For logs: safe in them. */
  readonly id: string;
  readonly method: string;
  /** The pattern of its route. */
  readonly route: string | undefined;
}

/** What a prefix was loaded from, and how many virtual tokens it has. */
interface PrefixLoad {
  readonly source: 'memory' | 'store';
  readonly kv: { readonly length: number };
}

/** The spans of one HTTP request. */
export class RequestTrace {
  /** One for all its spans: the SDK's own starts are whole milliseconds. */
  readonly #clock = new AnchoredClock(Date, performance);
  readonly #span: Span;
  readonly #context: Context;

  /**
   * @param parent the context of its caller's span, if there is one
   * @param modelName the base model's id
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

  /** False where the sampler leaves it out. */
  get isRecording(): boolean {
    return this.#span.isRecording();
  }

  /** A span as long as the loading of a prefix, whose outcome it is. */
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

  /** The spans of one of its sequences, which begins to wait now. */
  sequence(): SequenceObserver {
    const { tracer, modelName } = this;
    return new SequenceTrace({ tracer, modelName, parent: this.#context, now: () => this.#clock.now() });
  }

  /** The answer, or a part of it, is an error. @param code one of the error table's */
  failed({ code, status }: { readonly code: string; readonly status: number }): void {
    this.#span.setAttribute('error.type', code);
    if (status >= 500) this.#span.setStatus({ code: SpanStatusCode.ERROR });
  }

  /** The answer is out, or its connection gone. */
  end(status: number): void {
    this.#span.setAttribute('http.response.status_code', status).end(this.#clock.now());
  }
}
