/** ASCII punctuation but `'`, `-`, `,` and `.`, and the space. */
const PUNCTUATION = /([{-~[-` -&(-+:-@/])/g;
const ENTITIES: readonly (readonly [string, string])[] = [
  ['&quot;', '"'],
  ['&amp;', '&'],
  ['&lt;', '<'],
  ['&gt;', '>'],
];

/** The words of mteval-v13a, which sacrebleu's tokenizer `13a` and the E2E script's BLEU and NIST go by. */
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

/** The E2E script's words for BLEU and NIST: there, an empty text has one word, which is empty. */
export function mtevalWords(text: string): string[] {
  const words = lowerCase(words13a(text));
  return words.length > 0 ? words : [''];
}

/** What COCO's caption evaluation, and with it the E2E script, drops. */
const DROPPED = new Set(["''", "'", '``', '`', '.', '?', '!', ',', ':', '-', '--', '...', ';']);

/**
 * Lower-case words without punctuation. COCO takes them from Stanford's tokenizer, which also parts contractions (`it 's`); these
 * are those of `words13a`, which does not.
 */
export function captionWords(text: string): string[] {
  return lowerCase(words13a(text)).filter((word) => !DROPPED.has(word));
}

function lowerCase(words: readonly string[]): string[] {
  return words.map((word) => word.toLowerCase());
}
