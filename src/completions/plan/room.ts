import type { GenerationConfig } from '../../engine/generation-config.js';
import { type BaseModel, numSourceEmbeddings, type PrefixKv } from '../../prefix/kv.js';
import { CompletionError } from '../errors.js';

/** The room that a prompt, and what is generated, must fit. */
export interface PromptRoom {
  readonly contextLength: number;
  /** Positions of the context that the prefix takes. */
  readonly virtualTokens: number;
  /** Undefined: a prompt is in the context too. */
  readonly source?: SourceRoom | undefined;
}

/** The room that a prompt must fit where it is the source of an encoder. */
export interface SourceRoom {
  readonly sourceLength: number;
  /** Embeddings that the prefix puts before the source. */
  readonly virtualTokens: number;
  /** Tokens that the decoder starts with, which are in the context. */
  readonly startTokens: number;
}

/** What a model and a prefix leave. @param generation undefined for a decoder-only model */
export function roomOf(
  base: BaseModel,
  kv: PrefixKv | undefined,
  generation: GenerationConfig | undefined,
): PromptRoom {
  const { contextLength, sourceLength } = base;
  if (generation === undefined) return { contextLength, virtualTokens: kv?.length ?? 0 };
  if (sourceLength === undefined) throw new Error('a decoder starts, but the model has no sources');
  const virtualTokens = numSourceEmbeddings(kv, base);
  const source = { sourceLength, virtualTokens, startTokens: generation.decoderStart.length };
  return { contextLength, virtualTokens: kv?.shift ?? 0, source };
}

/** The part of the model that something does not fit, and its size. */
interface Limit {
  readonly tokens: number;
  /** Left out: there is only one. */
  readonly of?: 'encoder' | 'decoder';
}

/**
 * The refusal of a request that does not fit. It begins as OpenAI's does, because clients look for that sentence.
 * @param param the field that is at fault
 * @param asked what there is too much of
 */
export function contextExceeded(param: 'prompt' | 'max_tokens', { tokens, of }: Limit, asked: string): CompletionError {
  const where = of === undefined ? '' : ` for its ${of}`;
  const message = `This model's maximum context length is ${tokens} tokens${where}, but ${asked}`;
  return new CompletionError('context_length_exceeded', message, { param });
}
