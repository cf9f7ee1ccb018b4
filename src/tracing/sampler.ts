import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace-base';

type RootSampler = 'always_on' | 'always_off' | 'traceidratio';

export interface SamplerOptions {
  /** One of the standard's; `parentbased_`: where the request's `traceparent` says, what it says. */
  readonly sampler: RootSampler | `parentbased_${RootSampler}`;
  /** The part of the traces that `traceidratio` takes, 0 to 1. */
  readonly ratio: number;
}

/** Decides which traces are recorded. */
export function createSampler({ sampler, ratio }: SamplerOptions): Sampler {
  switch (sampler) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    default: {
      const root = sampler.replace('parentbased_', '') as RootSampler;
      return new ParentBasedSampler({ root: createSampler({ sampler: root, ratio }) });
    }
  }
}
