import { toCharacters } from './byte-alphabet.js';
import { escaped, Pattern, type PatternJson, type Run } from './pattern.js';
import { refuseField } from './tokenizer-error.js';
import { matchable, SPACE } from './unicode.js';

/** A pre-tokenizer of `tokenizer.json`; which fields it has depends on its type. */
export interface PreTokenizerJson {
  readonly type?: string;
  readonly pretokenizers?: readonly PreTokenizerJson[];
  readonly add_prefix_space?: boolean;
  readonly use_regex?: boolean;
  readonly individual_digits?: boolean;
  readonly pattern?: PatternJson;
  readonly behavior?: string;
  readonly invert?: boolean;
  readonly replacement?: string;
  readonly prepend_scheme?: string;
  readonly split?: boolean;
}

/** Cuts a piece of text into smaller ones. A text begins with the first piece that has `isStart`. */
type Cut = (text: string, isStart: boolean) => string[];

/** Cuts a text into the pieces that are encoded by themselves, written as the vocabulary's tokens are. */
export interface PreTokenizer {
  readonly cut: Cut;
  /** Whether something of a text may be missing in its pieces. */
  readonly drops: boolean;
}

/** GPT-2's pattern. */
const WORDS = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|${SPACE}+(?![^${SPACE}])|${SPACE}+`,
  'gu',
);

/**
 * Builds the pre-tokenizer.
 * @param isByteLevel whether pieces are written in the byte-level alphabet
 * @throws TokenizerError for one that writes pieces otherwise, or has a part that is not known here
 */
export function createPreTokenizer(json: PreTokenizerJson | null | undefined, isByteLevel: boolean): PreTokenizer {
  const parts = flatten(json, 'pre_tokenizer');
  const has = (type: string): boolean => parts.some(({ part }) => part.type === type);
  if (isByteLevel && !has('ByteLevel')) refuseField('pre_tokenizer', 'has no ByteLevel in it');
  if (!isByteLevel && has('ByteLevel')) refuseField('pre_tokenizer', 'has a ByteLevel, but the decoder has none');
  if (isByteLevel && has('Metaspace')) refuseField('pre_tokenizer', 'has a Metaspace beside a ByteLevel');
  const drops = parts.some(({ part }) => part.type === 'Split' && part.behavior === 'Removed');
  if (drops && has('Metaspace')) refuseField('pre_tokenizer', 'has a Metaspace behind what removes text');
  const cuts = parts.map(({ part, field }) => toCut(part, field));
  return {
    cut: (text, isStart) =>
      cuts.reduce<string[]>(
        (pieces, cut) => pieces.flatMap((piece, i) => cut(piece, isStart && i === 0)),
        text === '' ? [] : [text],
      ),
    drops,
  };
}

interface Part {
  readonly part: PreTokenizerJson;
  readonly field: string;
}

function flatten(json: PreTokenizerJson | null | undefined, field: string): Part[] {
  if (json?.type !== 'Sequence') return json ? [{ part: json, field }] : [];
  return (json.pretokenizers ?? []).flatMap((part, i) => flatten(part, `${field}.pretokenizers[${i}]`));
}

function toCut(part: PreTokenizerJson, field: string): Cut {
  switch (part.type) {
    case 'ByteLevel':
      return byteLevel(part);
    case 'Digits':
      return digits(part);
    case 'Split':
      return split(part, field);
    case 'Metaspace':
      return metaspace(part, field);
    case undefined:
    default:
      return refuseField(
        field,
        `is ${String(part.type)}; supported are ByteLevel, Metaspace, Split, Digits and Sequence`,
      );
  }
}

function byteLevel({ add_prefix_space: addSpace = true, use_regex: isCut = true }: PreTokenizerJson): Cut {
  return (text) => {
    const whole = addSpace && !text.startsWith(' ') ? ` ${text}` : text;
    return (isCut ? cutWords(whole) : [whole]).map(toCharacters);
  };
}

/** The pattern matches every character, so that the pieces' lengths say where they are. */
function cutWords(text: string): string[] {
  let at = 0;
  const pieces = matchable(text).match(WORDS) ?? [];
  return pieces.map(({ length }) => text.slice(at, (at += length)));
}

/** Writes spaces as another character, and puts one before a text, or before each piece, that does not begin with one. */
function metaspace(json: PreTokenizerJson, field: string): Cut {
  const { replacement = '\u2581', add_prefix_space: addsSpace = true, split: isCut = true } = json;
  const { prepend_scheme: scheme = addsSpace ? 'always' : 'never' } = json;
  if (!SCHEMES.has(scheme))
    refuseField(`${field}.prepend_scheme`, `is ${scheme}; supported are always, first and never`);
  if (replacement.length !== 1) refuseField(`${field}.replacement`, 'must be one character');
  return (text, isStart) => {
    const written = text.replaceAll(' ', replacement);
    const isPrefixed = (scheme === 'always' || (scheme === 'first' && isStart)) && !written.startsWith(replacement);
    const whole = isPrefixed ? replacement + written : written;
    return isCut ? whole.split(new RegExp(`(?=${escaped(replacement)})`, 'u')) : [whole];
  };
}

const SCHEMES: ReadonlySet<string> = new Set(['always', 'first', 'never']);

function digits({ individual_digits: isEach = false }: PreTokenizerJson): Cut {
  const pattern = isEach ? /\p{N}|\P{N}+/gu : /\p{N}+|\P{N}+/gu;
  return (text) => text.match(pattern) ?? [];
}

function split({ pattern: json, behavior, invert = false }: PreTokenizerJson, field: string): Cut {
  const pattern = new Pattern(json, `${field}.pattern`);
  const join =
    JOINS.get(behavior ?? '') ?? refuseField(`${field}.behavior`, `is ${String(behavior)}, which is not known`);
  return (text) => join(pattern.runs(text).map((run) => ({ ...run, isMatch: run.isMatch !== invert })));
}

/** What becomes of the runs that match, and of those between, in the words of `tokenizer.json`. */
const JOINS: ReadonlyMap<string, (runs: readonly Run[]) => string[]> = new Map([
  ['Isolated', (runs) => runs.map(({ text }) => text)],
  ['Removed', (runs) => runs.filter(({ isMatch }) => !isMatch).map(({ text }) => text)],
  ['Contiguous', (runs) => joinRuns(runs, (run, before) => run.isMatch === before.isMatch)],
  ['MergedWithPrevious', (runs) => joinRuns(runs, (run, before) => run.isMatch && !before.isMatch)],
  ['MergedWithNext', (runs) => joinRuns(runs, (run, before) => before.isMatch && !run.isMatch)],
]);

function joinRuns(runs: readonly Run[], joins: (run: Run, before: Run) => boolean): string[] {
  const pieces: string[] = [];
  runs.forEach((run, i) => {
    const before = runs[i - 1];
    if (before && joins(run, before)) pieces.push(`${pieces.pop() ?? ''}${run.text}`);
    else pieces.push(run.text);
  });
  return pieces;
}
