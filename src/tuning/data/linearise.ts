import type { TrainingExample } from './example.js';

/** Subject, relation, object. */
export type Triple = readonly [string, string, string];

/** A triple as Li and Liang's code writes it. */
export function writeTriple(triple: Triple): string {
  return triple.join(' : ');
}

/**
 * `' SOURCE SEPARATOR TARGET END'` as Li and Liang's code writes an example, cut behind the separator; the end token is appended
 * where examples become ids. What their code asks for at generation is the source with the separator, and no space behind.
 * @param separator empty for an encoder-decoder, where nothing separates them: both are trimmed and otherwise as they are
 */
export function linearise(
  source: string,
  targets: readonly string[],
  separator: string,
): Pick<TrainingExample, 'source' | 'targets'> {
  if (separator === '') return { source: source.trim(), targets: targets.map((target) => target.trim()) };
  return { source: ` ${source} ${separator}`, targets: targets.map((target) => ` ${target} `) };
}
