import { byteOfCharacter } from '../../src/tokenizer/byte-alphabet.js';

interface TinyTokenizerJson {
  readonly [field: string]: unknown;
  readonly model: { readonly type: string; readonly vocab: Record<string, number> };
}

/** The content of a `tokenizer.json` as GPT-2's, with the 256 bytes, a few merges and an end token at id 0. */
export function tinyTokenizerJson(): TinyTokenizerJson {
  const merges = [
    ['h', 'e'],
    ['l', 'l'],
    ['he', 'll'],
    ['hell', 'o'],
    ['Ġ', 'w'],
  ];
  const tokens = ['<|endoftext|>', ...byteOfCharacter.keys(), ...merges.map((pair) => pair.join(''))];
  const endToken = {
    id: 0,
    content: tokens[0],
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  };
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  return {
    version: '1.0',
    added_tokens: [endToken],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { ...{ type: 'BPE', vocab }, ...{ unk_token: null, merges } },
  };
}
