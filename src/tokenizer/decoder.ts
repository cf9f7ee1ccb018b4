import type { PatternJson } from './pattern.js';
import { refuseField } from './tokenizer-error.js';

/** A decoder of `tokenizer.json`; which fields it has depends on its type. */
export interface Decoder {
  readonly type?: unknown;
  readonly decoders?: unknown;
  readonly pattern?: PatternJson;
  readonly content?: unknown;
  readonly start?: unknown;
  readonly stop?: unknown;
}

/** How a decoder of `tokenizer.json` makes a text of the tokens of a BPE with byte fallback. */
export interface FallbackDecoding {
  /** What stands for a space in a token. */
  readonly space: string;
  /** Spaces that a whole text loses at its beginning. */
  readonly leadingSpaces: number;
}

/** The steps of a decoder, in order. A sequence of one step is that step, as Hugging Face's reader has it. */
export function decoderSteps(decoder: Decoder): readonly Decoder[] {
  if (decoder.type !== 'Sequence' || !Array.isArray(decoder.decoders)) return [decoder];
  return (decoder.decoders as (Decoder | null)[]).flatMap((one) => (one === null ? [] : decoderSteps(one)));
}

/**
 * Reads the decoder of a BPE with byte fallback: what stands for a space is replaced, bytes are joined, tokens are, and a text may lose
 * spaces at its beginning.
 * @throws TokenizerError for another one, naming the part
 */
export function fallbackDecoding(steps: readonly Decoder[]): FallbackDecoding {
  const [replace, bytes, fuse, strip, ...others] = steps;
  if (replace?.type !== 'Replace' || bytes?.type !== 'ByteFallback' || fuse?.type !== 'Fuse' || others.length > 0) {
    return refuseField(
      'decoder',
      `is ${steps.map(({ type }) => String(type)).join(', ') || 'empty'}; supported are ByteLevel, and ${SUPPORTED}`,
    );
  }
  const space = replace.pattern?.String;
  if (typeof space !== 'string' || space === '' || replace.content !== ' ') {
    return refuseField('decoder', 'must replace a text by a space');
  }
  if (strip === undefined) return { space, leadingSpaces: 0 };
  const { type, content, start = 0, stop = 0 } = strip;
  const isSupported = type === 'Strip' && content === ' ' && Number.isSafeInteger(start) && stop === 0;
  if (!isSupported) return refuseField('decoder', `ends with what is not a Strip of spaces at a text's beginning`);
  return { space, leadingSpaces: start as number };
}

const SUPPORTED = 'Replace, ByteFallback, Fuse and Strip in this order, the last of which may be missing';
