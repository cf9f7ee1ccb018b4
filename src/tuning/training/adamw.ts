import type { ParameterName } from '../method.js';
import { type Values, zerosLike } from './values.js';

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

/** The options of Li & Liang's code. */
const ADAMW_DEFAULTS: AdamWOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };

/** First and second moments of the gradient. */
export interface Moments {
  readonly first: Values;
  readonly second: Values;
}

/** AdamW (Loshchilov and Hutter 2019), as PyTorch computes it. It changes the parameters that it was made for. */
export class AdamW {
  constructor(
    private readonly parameters: Values,
    readonly moments: Moments = { first: zerosLike(parameters), second: zerosLike(parameters) },
    private readonly options: AdamWOptions = ADAMW_DEFAULTS,
  ) {}

  /** Step `step`, counted from 1. `scale` multiplies the gradients. */
  step(gradients: Values, step: number, learningRate: number, scale = 1): void {
    const { beta1, beta2, epsilon, weightDecay } = this.options;
    const size = learningRate / (1 - beta1 ** step);
    const correction = Math.sqrt(1 - beta2 ** step);
    for (const [name, values] of this.parameters) {
      const [gradient, first, second] = [gradients, this.moments.first, this.moments.second].map((of) =>
        entryOf(of, name),
      ) as [Float32Array, Float32Array, Float32Array];
      for (let i = 0; i < values.length; i++) {
        const g = (gradient[i] as number) * scale;
        const m = beta1 * (first[i] as number) + (1 - beta1) * g;
        const v = beta2 * (second[i] as number) + (1 - beta2) * g * g;
        first[i] = m;
        second[i] = v;
        const decayed = (values[i] as number) * (1 - learningRate * weightDecay);
        values[i] = decayed - (size * m) / (Math.sqrt(v) / correction + epsilon);
      }
    }
  }
}

/** Factor of the gradients that makes their common norm at most `limit`, as PyTorch's `clip_grad_norm_`. */
export function clipScale(gradients: Values, limit: number): number {
  let sum = 0;
  for (const gradient of gradients.values()) {
    for (let i = 0; i < gradient.length; i++) sum += (gradient[i] as number) ** 2;
  }
  return Math.min(1, limit / (Math.sqrt(sum) + 1e-6));
}

/** The learning rate of step `step` of `total`, from 0: a linear rise over `warmup` steps, then a linear fall to zero. */
export function linearSchedule(rate: number, step: number, total: number, warmup: number): number {
  if (step < warmup) return (rate * step) / warmup;
  return (rate * Math.max(0, total - step)) / Math.max(1, total - warmup);
}

function entryOf(values: Values, name: ParameterName): Float32Array {
  const entry = values.get(name);
  if (entry === undefined) throw new Error(`no values of ${name}`);
  return entry;
}
