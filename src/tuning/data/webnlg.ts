import type { TrainingExample } from './example.js';
import { Field } from './field.js';
import { linearise, writeTriple } from './linearise.js';

/**
 * WebNLG as JSON: `entries`, each `{ID: {category, modifiedtripleset, lexicalisations}}`. Lexicalisations commented `good` are
 * learned; all are references. Every triple has a bar before it, the first too, as in the code that reads training data
 * (`LineByLineWebNLGTextDataset`); the code that reads test data leaves the bars out in the file's first entry, which this does not.
 */
export function parseWebnlg(text: string, file: string, separator: string): TrainingExample[] {
  const entries = Field.parse(text, file).get('entries').items();
  return entries.map(({ value }, index) => parseEntry(new Field(value, `${file} entry ${index + 1}`), separator));
}

function parseEntry(byId: Field, separator: string): TrainingExample {
  const [id, ...others] = byId.keys();
  if (id === undefined || others.length > 0) throw byId.refuse('not an object with one id');
  const entry = new Field(byId.get(id).value, byId.where);
  const triples = entry.get('modifiedtripleset').items();
  const source = triples.map((triple) => {
    const part = (name: string): string => triple.get(name).string();
    return ` | ${writeTriple([part('subject'), part('property'), part('object')])}`;
  });
  const lexicalisations = entry.get('lexicalisations').items();
  const good = lexicalisations.filter((one) => one.get('comment').string() === 'good');
  const texts = (fields: readonly Field[]): string[] => fields.map((one) => one.get('lex').string());
  return {
    ...linearise(source.join(''), texts(good), separator),
    references: texts(lexicalisations),
    category: entry.get('category').string(),
    where: entry.where,
  };
}
