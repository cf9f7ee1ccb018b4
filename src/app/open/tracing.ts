import type { Settings } from '../../config/variables.js';
import type { Tracing, TracingOptions } from '../../tracing/tracing.js';

/** Opens what sends traces where an endpoint is set; else undefined, and nothing of OpenTelemetry's SDK is loaded. */
export async function openTracing(
  config: Settings<'traces'>,
  options: Pick<TracingOptions, 'modelName' | 'onFailure'>,
): Promise<Tracing | undefined> {
  const url = tracesUrl(config);
  if (url === undefined) return undefined;
  const { Tracing } = await import('../../tracing/tracing.js');
  const { tracesProtocol, otlpProtocol, tracesSampler: sampler, tracesSamplerArg: ratio } = config;
  return Tracing.open({ ...options, url, protocol: tracesProtocol ?? otlpProtocol, sampler, ratio });
}

/** The endpoint for traces is a whole URL; the one for all signals is their base. */
function tracesUrl({
  otelDisabled,
  tracesExporter,
  tracesEndpoint,
  otlpEndpoint,
}: Settings<'traces'>): string | undefined {
  if (otelDisabled || tracesExporter === 'none') return undefined;
  return tracesEndpoint ?? otlpEndpoint?.replace(/\/?$/, '/v1/traces');
}
