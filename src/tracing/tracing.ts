import type { IncomingHttpHeaders } from 'node:http';

import { ROOT_CONTEXT, type Tracer } from '@opentelemetry/api';
import { setGlobalErrorHandler, W3CTraceContextPropagator } from '@opentelemetry/core';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

import { openExporter, type ExporterOptions } from './exporter.js';
import { RequestTrace, type StartedRequest } from './request-trace.js';
import { createSampler, type SamplerOptions } from './sampler.js';

/** A failed export is told once in this time. Milliseconds. */
const REPORT_EVERY = 60_000;

export interface TracingOptions extends ExporterOptions, SamplerOptions {
  /** The base model's id. */
  readonly modelName: string;
  /** Told of spans that could not be sent, at most once a minute. */
  readonly onFailure: (error: unknown) => void;
}

const propagator = new W3CTraceContextPropagator();
const headerGetter = {
  get: (headers: unknown, key: string) => (headers as IncomingHttpHeaders)[key],
  keys: (headers: unknown) => Object.keys(headers as IncomingHttpHeaders),
};

/** Makes spans and sends them in batches, in the background. What cannot be sent is dropped. */
export class Tracing {
  readonly #tracer: Tracer;
  #reportedAt = -Infinity;

  /** @param provider what is not in the options, it reads from the standard variables */
  private constructor(
    private readonly provider: BasicTracerProvider,
    private readonly options: Pick<TracingOptions, 'modelName' | 'onFailure'>,
  ) {
    this.#tracer = provider.getTracer('preamble');
    setGlobalErrorHandler((error) => this.#report(error));
  }

  static async open(options: TracingOptions): Promise<Tracing> {
    const resource = defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'preamble' }))
      .merge(detectResources({ detectors: [envDetector] }));
    const spanProcessors = [new BatchSpanProcessor(await openExporter(options))];
    const sampler = createSampler(options);
    return new Tracing(new BasicTracerProvider({ resource, spanProcessors, sampler }), options);
  }

  /** The spans of a request, below the span that its `traceparent` names; undefined where the sampler leaves it out. */
  startRequest(request: StartedRequest, headers: IncomingHttpHeaders): RequestTrace | undefined {
    const parent = propagator.extract(ROOT_CONTEXT, headers, headerGetter);
    const trace = new RequestTrace(this.#tracer, parent, request, this.options.modelName);
    return trace.isRecording ? trace : undefined;
  }

  /** Sends what there is. The exporter's own timeout bounds it. */
  async close(): Promise<void> {
    await this.provider.shutdown().catch((error: unknown) => this.#report(error));
  }

  #report(error: unknown): void {
    const now = performance.now();
    if (now - this.#reportedAt < REPORT_EVERY) return;
    this.#reportedAt = now;
    this.options.onFailure(error);
  }
}
