import type { ConfigFields } from '../config-fields.js';

/** How queries and keys are turned by their positions: the parameters of `config.json`, with Transformers' defaults filled in. */
export type Rotation = { readonly theta: number } & (
  | { readonly type: 'default' }
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      /** Factor of cosines and sines. */
      readonly attentionFactor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly originalContext: number;
      /** Whether the ends of the ramp are whole numbers. */
      readonly truncate: boolean;
    }
);

const THETA = 10_000;
/** The fields that hold the parameters, newest first: Transformers 5's, and Transformers 4's beside `rope_theta`. */
const HOLDERS = ['rope_scaling', 'rope_parameters'] as const;
/** Parameters that are read, or that no served type reads. */
const KNOWN = new Set(
  `rope_type type rope_theta partial_rotary_factor factor original_max_position_embeddings low_freq_factor high_freq_factor
   attention_factor beta_fast beta_slow mscale mscale_all_dim truncate finetuned`.split(/\s+/),
);

/**
 * Reads the parameters, as Transformers 5 does, from `rope_parameters`, or from `rope_scaling` and `rope_theta`.
 * Throws `CheckpointError` naming the field for a type, or a part of one, that is not computed here.
 */
export function readRotation(read: ConfigFields, contextLength: number): Rotation {
  const holder = HOLDERS.find((field) => read.isSet(field)) ?? 'rope_parameters';
  HOLDERS.forEach((field) => read.skip(field));
  const rope = read.within(holder, KNOWN);
  read.expect('partial_rotary_factor', 1);
  rope.expect('partial_rotary_factor', 1);
  const theta = rope.positiveNumber('rope_theta', read.positiveNumber('rope_theta', THETA));
  const type = rope.string('rope_type', rope.string('type', 'default'));
  // `original_max_position_embeddings` beside the parameters goes first where it is there.
  const originalContext = (): number =>
    read.positive('original_max_position_embeddings', rope.positive('original_max_position_embeddings', contextLength));
  switch (type) {
    case 'default':
      return { type, theta };
    case 'linear':
      return { type, theta, factor: rope.positiveNumber('factor') };
    case 'dynamic':
      rope.positiveNumber('factor');
      return { type: 'default', theta }; // it differs only behind the context
    case 'llama3':
      return {
        type,
        theta,
        factor: rope.positiveNumber('factor'),
        lowFrequencyFactor: rope.positiveNumber('low_freq_factor'),
        highFrequencyFactor: rope.positiveNumber('high_freq_factor'),
        originalContext: originalContext(),
      };
    case 'yarn': {
      const original = originalContext();
      const factor = rope.positiveNumber('factor', contextLength / original);
      return {
        ...{ type, theta, factor, attentionFactor: attentionFactor(rope, factor), originalContext: original },
        betaFast: rope.positiveNumber('beta_fast', 32),
        betaSlow: rope.positiveNumber('beta_slow', 1),
        truncate: rope.boolean('truncate', true),
      };
    }
    default:
      throw read.refuse(holder, 'rope_type is not one of default, linear, dynamic, llama3 and yarn');
  }
}

function attentionFactor(rope: ConfigFields, factor: number): number {
  const scale = (m: number): number => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1);
  const [mscale, allDims] = [rope.number('mscale', 0), rope.number('mscale_all_dim', 0)];
  return rope.positiveNumber('attention_factor', mscale && allDims ? scale(mscale) / scale(allDims) : scale(1));
}

/** Factor of all cosines and sines. */
export function rotationScale(rotation: Rotation): number {
  return rotation.type === 'yarn' ? rotation.attentionFactor : 1;
}

/** Radians that a head's pairs of numbers turn by with each position: `headDim / 2`, rounded to float32 at each step as PyTorch does. */
export function inverseFrequencies(rotation: Rotation, headDim: number): number[] {
  const periods = Array.from({ length: headDim / 2 }, (_, pair) =>
    Math.fround(rotation.theta ** Math.fround((2 * pair) / headDim)),
  );
  const plain = periods.map((period) => Math.fround(1 / period));
  switch (rotation.type) {
    case 'default':
      return plain;
    case 'linear':
      return plain.map((frequency) => Math.fround(frequency / rotation.factor));
    case 'llama3':
      return plain.map((frequency) => llama3(frequency, rotation));
    case 'yarn':
      return periods.map((period, pair) => yarn(period, rampAt(pair, rotation, headDim), rotation.factor));
  }
}

/** Slow turns are slowed down by the factor, fast ones are not, and those between in part. */
function llama3(frequency: number, rotation: Rotation & { type: 'llama3' }): number {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = rotation;
  const wavelength = Math.fround((2 * Math.PI) / frequency);
  if (wavelength < originalContext / high) return frequency;
  const slowed = Math.fround(frequency / factor);
  if (wavelength > originalContext / low) return slowed;
  const smooth = Math.fround(Math.fround(originalContext / wavelength - low) / (high - low));
  return Math.fround(Math.fround(Math.fround((1 - smooth) * frequency) / factor) + Math.fround(smooth * frequency));
}

/** `ramp` 0: as trained; 1: slowed down by the factor. */
function yarn(period: number, ramp: number, factor: number): number {
  const kept = Math.fround(1 - ramp);
  const slowed = Math.fround(1 / Math.fround(factor * period));
  return Math.fround(Math.fround(slowed * Math.fround(1 - kept)) + Math.fround(Math.fround(1 / period) * kept));
}

function rampAt(pair: number, rotation: Rotation & { type: 'yarn' }, headDim: number): number {
  const { theta, betaFast, betaSlow, originalContext, truncate } = rotation;
  const dimensionOf = (turns: number): number =>
    (headDim * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [fast, slow] = [dimensionOf(betaFast), dimensionOf(betaSlow)];
  const low = Math.max(truncate ? Math.floor(fast) : fast, 0);
  const high = Math.min(truncate ? Math.ceil(slow) : slow, headDim - 1);
  const width = low === high ? 0.001 : high - low; // as in Transformers: no division by zero
  return Math.min(1, Math.max(0, Math.fround((pair - low) / width)));
}
