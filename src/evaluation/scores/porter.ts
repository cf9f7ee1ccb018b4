/** A suffix, what takes its place, and the stems before it for which it does; without a condition, all. */
type Rule = readonly [suffix: string, replacement: string, condition?: (stem: string) => boolean];

const hasMeasure: NonNullable<Rule[2]> = (stem) => measure(stem) > 0;
const isLong: NonNullable<Rule[2]> = (stem) => measure(stem) > 1;

/** Words whose stems the rules would miss. */
const IRREGULAR: ReadonlyMap<string, string> = new Map([
  ['sky', 'sky'],
  ['skies', 'sky'],
  ['dying', 'die'],
  ['lying', 'lie'],
  ['tying', 'tie'],
  ['news', 'news'],
  ['innings', 'inning'],
  ['inning', 'inning'],
  ['outings', 'outing'],
  ['outing', 'outing'],
  ['cannings', 'canning'],
  ['canning', 'canning'],
  ['howe', 'howe'],
  ['proceed', 'proceed'],
  ['exceed', 'exceed'],
  ['succeed', 'succeed'],
]);

const PLURALS: readonly Rule[] = [
  ['sses', 'ss'],
  ['ies', 'i'],
  ['ss', 'ss'],
  ['s', ''],
];

const DOUBLE_SUFFIXES: readonly Rule[] = (
  [
    ['ational', 'ate'],
    ['tional', 'tion'],
    ['enci', 'ence'],
    ['anci', 'ance'],
    ['izer', 'ize'],
    ['bli', 'ble'],
    ['alli', 'al'],
    ['entli', 'ent'],
    ['eli', 'e'],
    ['ousli', 'ous'],
    ['ization', 'ize'],
    ['ation', 'ate'],
    ['ator', 'ate'],
    ['alism', 'al'],
    ['iveness', 'ive'],
    ['fulness', 'ful'],
    ['ousness', 'ous'],
    ['aliti', 'al'],
    ['iviti', 'ive'],
    ['biliti', 'ble'],
    ['fulli', 'ful'],
    // The l counts as part of the stem, so that it is enough for short ones such as geo.
    ['logi', 'log', (stem) => hasMeasure(`${stem}l`)],
  ] as const satisfies readonly Rule[]
).map(([suffix, replacement, condition = hasMeasure]) => [suffix, replacement, condition]);

const ADJECTIVES: readonly Rule[] = (
  [
    ['icate', 'ic'],
    ['ative', ''],
    ['alize', 'al'],
    ['iciti', 'ic'],
    ['ical', 'ic'],
    ['ful', ''],
    ['ness', ''],
  ] as const
).map(([suffix, replacement]) => [suffix, replacement, hasMeasure]);

const LAST_SUFFIXES: readonly Rule[] = [
  ...['al', 'ance', 'ence', 'er', 'ic', 'able', 'ible', 'ant', 'ement', 'ment', 'ent'],
  ...['ion', 'ou', 'ism', 'ate', 'iti', 'ous', 'ive', 'ize'],
].map((suffix) => [suffix, '', suffix === 'ion' ? (stem) => isLong(stem) && /[st]$/.test(stem) : isLong]);

/**
 * The stem of a word in lower case: Porter's algorithm with the extensions that NLTK has on by default (`PorterStemmer()`). They
 * are irregular words, `ie` for short words in `ies` and `ied`, a `y` that changes only behind a consonant, `fulli`, and `alli` before all
 * other rules of its step.
 */
export function porterStem(word: string): string {
  const irregular = IRREGULAR.get(word);
  if (irregular !== undefined) return irregular;
  if (word.length <= 2) return word;
  return [stripPlural, stripPast, softenY, stripDouble, stripAdjective, stripLast, stripE, stripL].reduce(
    (stem, step) => step(stem),
    word,
  );
}

function stripPlural(word: string): string {
  return word.length === 4 && word.endsWith('ies') ? word.slice(0, -1) : apply(PLURALS, word);
}

function stripPast(word: string): string {
  if (word.endsWith('ied')) return word.slice(0, word.length === 4 ? -1 : -2);
  if (word.endsWith('eed')) return hasMeasure(word.slice(0, -3)) ? word.slice(0, -1) : word;
  const suffix = ['ed', 'ing'].find((one) => word.endsWith(one) && hasVowel(word.slice(0, -one.length)));
  return suffix === undefined ? word : mendEnd(word.slice(0, -suffix.length));
}

/** Gives back what `ed` or `ing` took, and halves a double consonant. */
function mendEnd(stem: string): string {
  if (/(at|bl|iz)$/.test(stem)) return `${stem}e`;
  const flags = consonants(stem);
  if (flags.at(-1) && stem.at(-1) === stem.at(-2)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1);
  return measure(stem) === 1 && endsShort(stem) ? `${stem}e` : stem;
}

function softenY(word: string): string {
  const stem = word.slice(0, -1);
  return word.endsWith('y') && stem.length > 1 && consonants(stem).at(-1) ? `${stem}i` : word;
}

function stripDouble(word: string): string {
  const isAdverb = word.endsWith('alli') && hasMeasure(word.slice(0, -4));
  return apply(DOUBLE_SUFFIXES, isAdverb ? word.slice(0, -2) : word);
}

function stripAdjective(word: string): string {
  return apply(ADJECTIVES, word);
}

function stripLast(word: string): string {
  return apply(LAST_SUFFIXES, word);
}

function stripE(word: string): string {
  if (!word.endsWith('e')) return word;
  const stem = word.slice(0, -1);
  return isLong(stem) || (hasMeasure(stem) && !endsShort(stem)) ? stem : word;
}

function stripL(word: string): string {
  return word.endsWith('ll') && isLong(word.slice(0, -1)) ? word.slice(0, -1) : word;
}

/** Applies the first rule whose suffix the word has; if its condition fails, no other is tried. */
function apply(rules: readonly Rule[], word: string): string {
  const rule = rules.find(([suffix]) => word.endsWith(suffix));
  if (rule === undefined) return word;
  const [suffix, replacement, condition] = rule;
  const stem = word.slice(0, word.length - suffix.length);
  return condition === undefined || condition(stem) ? stem + replacement : word;
}

/** Which letters are consonants. A `y` is one at the start and behind a vowel. */
function consonants(text: string): boolean[] {
  const flags: boolean[] = [];
  for (const letter of text) flags.push(letter === 'y' ? flags.at(-1) !== true : !'aeiou'.includes(letter));
  return flags;
}

/** Porter's measure: how many times consonants follow vowels. */
function measure(stem: string): number {
  const flags = consonants(stem);
  return flags.filter((isConsonant, at) => at > 0 && isConsonant && flags[at - 1] === false).length;
}

function hasVowel(stem: string): boolean {
  return consonants(stem).includes(false);
}

/** Whether it ends in consonant, vowel and consonant other than `w`, `x` and `y`, or is a vowel and a consonant. */
function endsShort(stem: string): boolean {
  const flags = consonants(stem);
  if (flags.length === 2) return flags[0] === false && flags[1] === true;
  const [first, second, third] = flags.slice(-3);
  return flags.length > 2 && first === true && second === false && third === true && !/[wxy]$/.test(stem);
}
