import { CheckpointError } from '../checkpoint-error.js';

/** What Transformers takes where a family's `config.json` does not say. */
interface Defaults {
  readonly inner: number;
  readonly contextLength: number;
  readonly vocabularySize: number;
  /** As many as heads of queries unless given. */
  readonly kvHeads?: number;
  /** The width divided by the heads unless given. */
  readonly headDim?: number;
  /** None where it is undefined. */
  readonly endToken: number | undefined;
}

interface FamilyTraits {
  /** For messages, with an article. */
  readonly title: string;
  readonly defaults: Defaults;
  /** Biases of attention: where `attention_bias` says so, of queries, keys and values always, or nowhere. */
  readonly biases: 'asked' | 'qkv' | 'none';
}

export type Family = 'llama' | 'mistral' | 'qwen2' | 'qwen3';

/** What the families differ in, by the `model_type` of their checkpoints. */
export const FAMILIES: Readonly<Record<Family, FamilyTraits>> = {
  llama: {
    title: 'a Llama',
    defaults: { inner: 11_008, contextLength: 2048, vocabularySize: 32_000, endToken: 2 },
    biases: 'asked',
  },
  mistral: {
    title: 'a Mistral',
    defaults: { inner: 14_336, contextLength: 131_072, vocabularySize: 32_000, kvHeads: 8, endToken: 2 },
    biases: 'none',
  },
  qwen2: {
    title: 'a Qwen 2',
    defaults: { inner: 22_016, contextLength: 32_768, vocabularySize: 151_936, kvHeads: 32, endToken: undefined },
    biases: 'qkv',
  },
  qwen3: {
    title: 'a Qwen 3',
    defaults: {
      ...{ inner: 22_016, contextLength: 32_768, vocabularySize: 151_936, kvHeads: 32, headDim: 128 },
      endToken: undefined,
    },
    biases: 'asked',
  },
};

/** The family of that `model_type`. Throws `CheckpointError` for another one. */
export function familyOf(type: unknown): Family {
  if (typeof type === 'string' && Object.hasOwn(FAMILIES, type)) return type as Family;
  throw new CheckpointError(
    `config.json: model_type is ${JSON.stringify(type)}, not one of ${Object.keys(FAMILIES).join(', ')}`,
  );
}
