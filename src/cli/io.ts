import type { Writable } from 'node:stream';

/** Where a command writes: results on `stdout`, everything else on `stderr`. `process` is one. */
export interface Io {
  readonly stdout: Pick<Writable, 'write'>;
  readonly stderr: Pick<Writable, 'write'>;
}

/** Writes a result: one line of JSON for programs, or text for people. */
export function print(io: Io, text: string): void {
  io.stdout.write(`${text}\n`);
}

/** Columns as wide as their widest cell, numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => String(row[column]).length)));
  const cell = (value: string | number, column: number): string =>
    typeof value === 'number' ? String(value).padStart(widths[column] ?? 0) : value.padEnd(widths[column] ?? 0);
  return all.map((row) => row.map(cell).join('  ').trimEnd()).join('\n');
}
