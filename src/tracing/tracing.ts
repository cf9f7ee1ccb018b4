import type { IncomingHttpHeaders } from 'node:http';

import { ROOT_CONTEXT, type Tracer } from '@opentelemetry/api';
import { setGlobalErrorHandler, W3CTraceContextPropagator } from '@opentelemetry/core';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

import { openExporter, type ExporterOptions } from './exporter.js';
import { RequestTrace, type StartedRequest } from './request-trace.js';
import { createSampler, type SamplerOptions } from './sampler.js';

/** Shortest time between two reports of failed exports. */
const REPORT_INTERVAL_MS = 60_000;

/** Where traces go, which are recorded, and whom to tell of failures. */
export interface TracingOptions extends ExporterOptions, SamplerOptions {
  /** Id of the base model. */
  readonly modelName: string;
  /** Called when spans could not be sent, at most once a minute. */
  readonly onFailure: (error: unknown) => void;
}

const propagator = new W3CTraceContextPropagator();
const headerGetter = {
  get: (headers: unknown, key: string) => (headers as IncomingHttpHeaders)[key],
  keys: (headers: unknown) => Object.keys(headers as IncomingHttpHeaders),
};

/** Records spans and sends them in batches in the background. Spans that cannot be sent are dropped. */
export class Tracing {
  readonly #tracer: Tracer;
  #reportedAt = -Infinity;

  /** @param provider reads the settings that are not in `options` from OpenTelemetry's standard variables */
  private constructor(
    private readonly provider: BasicTracerProvider,
    private readonly options: Pick<TracingOptions, 'modelName' | 'onFailure'>,
  ) {
    this.#tracer = provider.getTracer('preamble');
    setGlobalErrorHandler((error) => this.#report(error));
  }

  /** Opens the exporter and starts tracing. Process-wide: it sets OpenTelemetry's global error handler. */
  static async open(options: TracingOptions): Promise<Tracing> {
    const resource = defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'preamble' }))
      .merge(detectResources({ detectors: [envDetector] }));
    const spanProcessors = [new BatchSpanProcessor(await openExporter(options))];
    const sampler = createSampler(options);
    return new Tracing(new BasicTracerProvider({ resource, spanProcessors, sampler }), options);
  }

  /**
   * Starts the trace of a request, below the span named in its `traceparent` header. Undefined when the sampler drops
   * the trace.
   */
  startRequest(request: StartedRequest, headers: IncomingHttpHeaders): RequestTrace | undefined {
    const parent = propagator.extract(ROOT_CONTEXT, headers, headerGetter);
    const trace = new RequestTrace(this.#tracer, parent, request, this.options.modelName);
    return trace.isRecording ? trace : undefined;
  }

  /** Sends the remaining spans, within the exporter's timeout, and stops. */
  async close(): Promise<void> {
    await this.provider.shutdown().catch((error: unknown) => this.#report(error));
  }

  #report(error: unknown): void {
    const now = performance.now();
    if (now - this.#reportedAt < REPORT_INTERVAL_MS) return;
    this.#reportedAt = now;
    this.options.onFailure(error);
  }
}
