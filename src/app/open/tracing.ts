import type { Settings } from '../../config/variables.js';
import type { Tracing, TracingOptions } from '../../tracing/tracing.js';

/** Opens tracing; undefined where no endpoint is set, and then OpenTelemetry's SDK is not loaded. */
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

/** The URL that traces are sent to: the endpoint for traces as it is, or `/v1/traces` below the endpoint for all signals. */
function tracesUrl({
  otelDisabled,
  tracesExporter,
  tracesEndpoint,
  otlpEndpoint,
}: Settings<'traces'>): string | undefined {
  if (otelDisabled || tracesExporter === 'none') return undefined;
  return tracesEndpoint ?? otlpEndpoint?.replace(/\/?$/, '/v1/traces');
}
