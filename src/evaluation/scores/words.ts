/** ASCII punctuation except `'`, `-`, `,` and `.`, and the space. */
const PUNCTUATION = /([{-~[-` -&(-+:-@/])/g;
const ENTITIES: readonly (readonly [string, string])[] = [
  ['&quot;', '"'],
  ['&amp;', '&'],
  ['&lt;', '<'],
  ['&gt;', '>'],
];

/**
 * Splits a text into words as mteval-v13a does. Sacrebleu's tokenizer `13a` and the E2E script's BLEU and NIST use
 * these words.
 */
export function words13a(text: string): string[] {
  let line = text.replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ');
  for (const [entity, character] of ENTITIES) line = line.replaceAll(entity, character);
  return ` ${line} `
    .replace(PUNCTUATION, ' $1 ')
    .replace(/([^0-9])([.,])/gu, '$1 $2 ')
    .replace(/([.,])([^0-9])/gu, ' $1 $2')
    .replace(/([0-9])(-)/g, '$1 $2 ')
    .split(/\s+/)
    .filter((word) => word !== '');
}

/** The E2E script's words for BLEU and NIST: lower case, and one empty word for an empty text. */
export function mtevalWords(text: string): string[] {
  const words = lowerCase(words13a(text));
  return words.length > 0 ? words : [''];
}

/** Tokens that COCO's caption evaluation, used by the E2E script, drops. */
const DROPPED = new Set(["''", "'", '``', '`', '.', '?', '!', ',', ':', '-', '--', '...', ';']);

/**
 * Lower-case words without punctuation, split by `words13a`. COCO splits with Stanford's tokenizer, which also splits
 * contractions (`it 's`).
 */
export function captionWords(text: string): string[] {
  return lowerCase(words13a(text)).filter((word) => !DROPPED.has(word));
}

function lowerCase(words: readonly string[]): string[] {
  return words.map((word) => word.toLowerCase());
}
