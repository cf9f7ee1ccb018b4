/** A line of a text file, and where it is. */
export interface Line {
  readonly line: string;
  readonly where: string;
}

/** The lines that are not blank; numbers count from 1 and count blank ones too. */
export function linesOf(text: string, file: string): Line[] {
  return text
    .split(/\r?\n/)
    .map((line, index) => ({ line, where: `${file} line ${index + 1}` }))
    .filter(({ line }) => line.trim() !== '');
}
