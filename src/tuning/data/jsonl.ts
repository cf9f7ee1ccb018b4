import fs from 'node:fs/promises';
import path from 'node:path';

import { TuningError } from './errors.js';
import type { TextOrIds, TrainingExample } from './example.js';

/**
 * Reads lines of `{"prompt", "completion"}`, each a string or an array of token ids. Empty lines are skipped.
 * Throws `TuningError` naming file, line and field.
 */
export async function readJsonl(file: string): Promise<TrainingExample[]> {
  const text = await fs.readFile(file, 'utf8').catch((error: Error) => {
    throw new TuningError(`${file}: ${error.message}`, { cause: error });
  });
  const lines = text.split('\n').map((line, index) => ({ line, where: `${path.basename(file)} line ${index + 1}` }));
  return lines.filter(({ line }) => line.trim() !== '').map(({ line, where }) => parseLine(line, where));
}

function parseLine(line: string, where: string): TrainingExample {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new TuningError(`${where}: not JSON`);
  }
  if (typeof value !== 'object' || value === null) throw new TuningError(`${where}: not an object`);
  const field = (name: string): TextOrIds => {
    const found = (value as Record<string, unknown>)[name];
    if (typeof found === 'string') return found;
    if (Array.isArray(found) && found.every(Number.isInteger)) return found as number[];
    throw new TuningError(`${where}: ${name} is neither a string nor an array of token ids`);
  };
  return { source: field('prompt'), targets: [field('completion')] };
}
