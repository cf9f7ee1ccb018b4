import { DataError } from './data-error.js';
import type { TrainingExample } from './example.js';
import { linearise } from './linearise.js';
import { linesOf } from './lines.js';

/** Lines of `source||target`, as the E2E data comes with Li and Liang's code. */
export function parseE2e(text: string, file: string, separator: string): TrainingExample[] {
  return linesOf(text, file).map(({ line, where }) => {
    const [source = '', target, ...others] = line.split('||');
    if (target === undefined || others.length > 0) throw new DataError(where, 'not source||target');
    if (source.trim() === '') throw new DataError(where, 'source is empty');
    if (target.trim() === '') throw new DataError(where, 'target is empty');
    return { ...linearise(source, [target], separator), where };
  });
}
