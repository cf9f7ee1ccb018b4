import { Pattern, type PatternJson } from './pattern.js';
import { refuseField } from './tokenizer-error.js';
import { isSpaceAt } from './unicode.js';

/** A normalizer of `tokenizer.json`; which fields it has depends on its type. */
export interface NormalizerJson {
  readonly type?: string;
  readonly normalizers?: readonly NormalizerJson[];
  readonly strip_left?: boolean;
  readonly strip_right?: boolean;
  readonly prepend?: string;
  readonly pattern?: PatternJson;
  readonly content?: string;
}

/**
 * Characters with a decomposition that is newer than the Unicode of Hugging Face's normalizers: those that only the compatibility forms
 * decompose, and those that all do.
 */
const NEWER_COMPATIBLE =
  '\\u32ff\\ua7f1-\\ua7f4\\uab69\\u{10781}-\\u{10785}\\u{10787}-\\u{107b0}\\u{107b2}-\\u{107ba}\\u{1ccd6}-\\u{1ccf9}\\u{1e030}-\\u{1e06d}' +
  '\\u{1f16c}\\u{1fbf0}-\\u{1fbf9}';
const NEWER_CANONICAL =
  '\\u{105c9}\\u{105e4}\\u{11383}\\u{11385}\\u{1138e}\\u{11391}\\u{113c5}\\u{113c7}\\u{113c8}\\u{11938}\\u{16121}-\\u{16128}' +
  '\\u{16d68}-\\u{16d6a}';
/* eslint-disable no-misleading-character-class -- each is meant by itself, combining or not */
const newer = new RegExp(`([${NEWER_COMPATIBLE}${NEWER_CANONICAL}])`, 'u');
const composed = new RegExp(`[${NEWER_CANONICAL}]`, 'gu');
/* eslint-enable no-misleading-character-class */

/** Changes a text before it is cut into pieces. */
export type Normalize = (text: string) => string;

/** Builds the normalizer; undefined where there is none. Throws `TokenizerError` for one that is not known here. */
export function createNormalizer(json: NormalizerJson | null | undefined, field = 'normalizer'): Normalize | undefined {
  if (!json) return undefined;
  switch (json.type) {
    case 'Sequence': {
      const steps = (json.normalizers ?? []).map((step, i) => createNormalizer(step, `${field}.normalizers[${i}]`));
      return (text) => steps.reduce((changed, step) => step?.(changed) ?? changed, text);
    }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = json.type;
      return (text) => toForm(text, form);
    }
    case 'Lowercase':
      return (text) => Array.from(text, (character) => character.toLowerCase()).join(''); // a last sigma is a sigma
    case 'Strip':
      return (text) => strip(text, json);
    case 'Prepend':
      return (text) => (text === '' ? '' : `${json.prepend ?? ''}${text}`);
    case 'Replace': {
      const pattern = new Pattern(json.pattern, `${field}.pattern`);
      const { content = '' } = json;
      return (text) =>
        pattern
          .runs(text)
          .map((run) => (run.isMatch ? content : run.text))
          .join('');
    }
    case undefined:
    default:
      return refuseField(
        field,
        `is ${String(json.type)}; supported are NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace and Sequence`,
      );
  }
}

/** Whether a normalizer leaves every character of a text in it, spaces perhaps written as another text. */
export function keepsCharacters(json: NormalizerJson | null | undefined, space: string): boolean {
  if (json?.type === 'Sequence') return (json.normalizers ?? []).every((step) => keepsCharacters(step, space));
  const writesSpaces = json?.type === 'Replace' && json.pattern?.String === ' ' && json.content === space;
  return !json || json.type === 'Prepend' || writesSpaces;
}

/** A normal form, in which newer characters are neither decomposed nor composed. */
function toForm(text: string, form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD'): string {
  const isOld = (part: number): boolean => part % 2 === 0; // `split` puts the characters that it splits by between
  const decompose = (one: string): string => one.normalize('NFD');
  const parts = text.split(newer);
  return parts.map((part, i) => (isOld(i) ? part.normalize(form).replace(composed, decompose) : part)).join('');
}

function strip(text: string, { strip_left: left = true, strip_right: right = true }: NormalizerJson): string {
  let start = 0;
  let end = text.length;
  while (left && start < end && isSpaceAt(text, start)) start++;
  while (right && end > start && isSpaceAt(text, end - 1)) end--;
  return text.slice(start, end);
}
