/** A decoder as `tokenizer.json` has it. */
export interface Decoder {
  readonly type?: unknown;
  readonly decoders?: unknown;
}

/** The type of the decoder of a `tokenizer.json`. A sequence of one is that one, as Hugging Face's reader has it. */
export function decoderType(decoder: Decoder | null | undefined): unknown {
  let one = decoder;
  while (one?.type === 'Sequence' && Array.isArray(one.decoders) && one.decoders.length === 1) {
    one = one.decoders[0] as Decoder | null;
  }
  return one?.type;
}
