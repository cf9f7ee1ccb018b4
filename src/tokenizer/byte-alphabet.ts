/**
 * GPT-2's byte-level alphabet: each byte is written as one printable character, so that merges never see spaces or control
 * characters. Bytes that are printable in Latin-1 stand for themselves, the others for the characters from U+0100 on.
 */
const isPrintable = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

/** The byte for each character of the alphabet. */
export const byteOfCharacter: ReadonlyMap<string, number> = buildAlphabet();

function buildAlphabet(): Map<string, number> {
  const alphabet = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    alphabet.set(String.fromCharCode(isPrintable(byte) ? byte : next++), byte);
  }
  return alphabet;
}

const characterOfByte: readonly string[] = [...byteOfCharacter]
  .sort(([, a], [, b]) => a - b)
  .map(([character]) => character);
const encoder = new TextEncoder();

/** A text in the alphabet, a character for each byte of its UTF-8. */
export function toCharacters(text: string): string {
  let characters = '';
  for (const byte of encoder.encode(text)) characters += characterOfByte[byte] ?? '';
  return characters;
}

/** The bytes of a vocabulary token; undefined if one of its characters is not in the alphabet. */
export function toBytes(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfCharacter.get(token.charAt(i));
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
