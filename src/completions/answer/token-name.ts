import type { TokenBytes } from '../../tokenizer/text-stream.js';

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** By the bytes that a tokenizer has of a token, which are always the same array. */
const texts = new WeakMap<Uint8Array, string>();

/** A token as OpenAI writes it: its text, or `bytes:\xNN...` when its bytes are not whole characters. */
export function tokenText(bytes: Uint8Array): string {
  const known = texts.get(bytes);
  if (known !== undefined) return known;
  const text = decodeToken(bytes);
  texts.set(bytes, text);
  return text;
}

function decodeToken(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}

/**
 * A token as `tokenText` writes it, and `token_id:N` where that would not tell it from another: a token without text, as there are in a vocabulary
 * that is padded, and one with the text of a token that has a lower id.
 */
export function tokenName(id: number, tokenizer: TokenBytes): string {
  const bytes = tokenizer.tokenBytes(id);
  return bytes.length === 0 || tokenizer.isNamesake?.(id) ? `token_id:${id}` : tokenText(bytes);
}
