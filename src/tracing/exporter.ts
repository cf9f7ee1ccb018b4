import type { SpanExporter } from '@opentelemetry/sdk-trace-base';

/** Destination of the spans. */
export interface ExporterOptions {
  /** The whole URL of the OTLP endpoint. */
  readonly url: string;
  readonly protocol: 'http/protobuf' | 'http/json';
}

/**
 * Creates the OTLP exporter. It reads headers, timeout, compression and certificates from OpenTelemetry's standard
 * variables.
 */
export async function openExporter({ url, protocol }: ExporterOptions): Promise<SpanExporter> {
  const { OTLPTraceExporter } =
    protocol === 'http/json'
      ? await import('@opentelemetry/exporter-trace-otlp-http')
      : await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter({ url });
}
