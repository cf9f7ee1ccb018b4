import { toCharacters } from './byte-alphabet.js';
import { Pattern, type PatternJson, type Run } from './pattern.js';
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
}

/** Cuts a piece of text into smaller ones. */
type Cut = (text: string) => string[];

/** Cuts a text into the pieces that are encoded by themselves, written in the byte-level alphabet. */
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

/** Builds the pre-tokenizer. Throws `TokenizerError` for one that is not byte-level, or has a part that is not known here. */
export function createPreTokenizer(json: PreTokenizerJson | null | undefined): PreTokenizer {
  const parts = flatten(json, 'pre_tokenizer');
  if (!parts.some(({ part }) => part.type === 'ByteLevel')) refuseField('pre_tokenizer', 'has no ByteLevel in it');
  const cuts = parts.map(({ part, field }) => toCut(part, field));
  return {
    cut: (text) => cuts.reduce<string[]>((pieces, cut) => pieces.flatMap(cut), text === '' ? [] : [text]),
    drops: parts.some(({ part }) => part.type === 'Split' && part.behavior === 'Removed'),
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
    case undefined:
    default:
      return refuseField(field, `is ${String(part.type)}; supported are ByteLevel, Split, Digits and Sequence`);
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
