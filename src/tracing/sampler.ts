import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace-base';

type RootSampler = 'always_on' | 'always_off' | 'traceidratio';

/** The sampling of traces, in OpenTelemetry's terms. */
export interface SamplerOptions {
  /** OpenTelemetry's name of the sampler. With `parentbased_`, a request's `traceparent` decides if it has one. */
  readonly sampler: RootSampler | `parentbased_${RootSampler}`;
  /** Fraction of the traces that `traceidratio` records, 0 to 1. */
  readonly ratio: number;
}

/** The sampler that decides which traces are recorded. */
export function createSampler({ sampler, ratio }: SamplerOptions): Sampler {
  switch (sampler) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parentbased_always_on':
    case 'parentbased_always_off':
    case 'parentbased_traceidratio': {
      const root = sampler.replace('parentbased_', '') as RootSampler;
      return new ParentBasedSampler({ root: createSampler({ sampler: root, ratio }) });
    }
  }
}
