import { HEAD_WEIGHT } from '../architecture.js';
import type { WeightSpec } from '../weights.js';
import type { Gpt2Config } from './config.js';

/** Every weight of a GPT-2, in float32, as a checkpoint holds it. `[in, out]` for linear layers. */
export function weightSpecs(config: Gpt2Config): WeightSpec[] {
  const { width: d, inner, vocabularySize, contextLength } = config;
  const specs: WeightSpec[] = [
    { name: 'wte.weight', shape: [vocabularySize, d] },
    { name: 'wpe.weight', shape: [contextLength, d] },
  ];
  const vectors = (name: string, size: number): void => {
    specs.push({ name: `${name}.weight`, shape: [size] }, { name: `${name}.bias`, shape: [size] });
  };
  const linear = (name: string, from: number, to: number): void => {
    specs.push({ name: `${name}.weight`, shape: [from, to] }, { name: `${name}.bias`, shape: [to] });
  };
  for (let layer = 0; layer < config.layers; layer++) {
    const h = `h.${layer}`;
    vectors(`${h}.ln_1`, d);
    linear(`${h}.attn.c_attn`, d, 3 * d);
    linear(`${h}.attn.c_proj`, d, d);
    vectors(`${h}.ln_2`, d);
    linear(`${h}.mlp.c_fc`, d, inner);
    linear(`${h}.mlp.c_proj`, inner, d);
  }
  vectors('ln_f', d);
  if (!config.tiedHead) specs.push({ name: HEAD_WEIGHT, shape: [vocabularySize, d] });
  return specs;
}

/** Floats after which addresses fall on the same lines of a processor's first cache again: 4 KiB. */
const CACHE_PERIOD = 1024;
/** A whole block of quantised weights (`BLOCK`), and more than a cache line. */
const EXTRA_INNER = 32;

/** Every weight as the float32 compiled file holds it, in the same order; see `compiledInner`. */
export function compiledSpecs(config: Gpt2Config): WeightSpec[] {
  return weightSpecs({ ...config, inner: compiledInner(config) });
}

/**
 * Width of the MLP's hidden layer in the compiled model: more than the checkpoint's where rows of it would lie a multiple of
 * 4 KiB apart, which makes products with them a tenth slower (docs/decisions/0023). The added weights are zeros: results stay the same.
 */
export function compiledInner({ inner }: Gpt2Config): number {
  return inner % CACHE_PERIOD === 0 ? inner + EXTRA_INNER : inner;
}
