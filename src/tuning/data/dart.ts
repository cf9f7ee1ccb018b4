import type { TrainingExample } from './example.js';
import { Field } from './field.js';
import { linearise, writeTriple } from './linearise.js';

/** DART: an array of `{tripleset, annotations}`; relations are lower-cased. */
export function parseDart(text: string, file: string, separator: string): TrainingExample[] {
  return Field.parse(text, file)
    .items()
    .map(({ value }, index) => {
      const entry = new Field(value, `${file} entry ${index + 1}`);
      const source = entry.get('tripleset').items().map(parseTriple).join(' | ');
      const annotations = entry.get('annotations').items();
      const targets = annotations.map((annotation) => annotation.get('text').string());
      return { ...linearise(source, targets, separator), where: entry.where };
    });
}

function parseTriple(triple: Field): string {
  const [subject, relation, object, ...others] = triple.items().map((part) => part.string());
  if (subject === undefined || relation === undefined || object === undefined || others.length > 0) {
    throw triple.refuse('not three strings');
  }
  return writeTriple([subject, relation.toLowerCase(), object]);
}
