import type { SpanExporter } from '@opentelemetry/sdk-trace-base';

export interface ExporterOptions {
  /** Where OTLP goes: the whole URL. */
  readonly url: string;
  readonly protocol: 'http/protobuf' | 'http/json';
}

/** What sends spans. Headers, timeout, compression and certificates it reads from the standard variables. */
export async function openExporter({ url, protocol }: ExporterOptions): Promise<SpanExporter> {
  const { OTLPTraceExporter } =
    protocol === 'http/json'
      ? await import('@opentelemetry/exporter-trace-otlp-http')
      : await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter({ url });
}
