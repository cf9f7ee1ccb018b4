import fs from 'node:fs';

import { describe, expect, it } from 'vitest';

const page = new URL('../../docs/models.md', import.meta.url);

/** What becomes of a file. `taken`: it is used as it is. `converted`: what is served is made from it. `refused`: a message says why. */
export type Outcome = 'taken' | 'converted' | 'refused';

/** A row of a table in docs/models.md. */
interface DocumentedRow {
  /** The first cell. */
  readonly input: string;
  /** The second cell. */
  readonly outcome: string;
  /** What the third cell has in double quotes: words of the program's messages. */
  readonly quotes: readonly string[];
}

/** What a test saw of a row. */
export interface SeenOutcome {
  readonly outcome: Outcome;
  /** The refusal's message, or the warnings. */
  readonly messages: readonly string[];
}

/** The rows of all tables of a section of docs/models.md, its subsections included. Throws for a section that is not there. */
function documentedRows(section: string): DocumentedRow[] {
  const text = fs.readFileSync(page, 'utf8');
  const [, body] = text.split(`\n## ${section}\n`);
  if (body === undefined) throw new Error(`docs/models.md has no section ${section}`);
  const [own = ''] = body.split('\n## ');
  const lines = own.split('\n').filter((line) => line.startsWith('|'));
  const isRule = (line = ''): boolean => /^\|( *-+ *\|)+$/.test(line);
  return lines.filter((line, i) => !isRule(line) && !isRule(lines[i + 1])).map(toRow);
}

function toRow(line: string): DocumentedRow {
  const [, input = '', outcome = '', rest = ''] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
  return { input, outcome, quotes: [...rest.matchAll(/"([^"]+)"/g)].map(([, quote = '']) => quote) };
}

/**
 * Declares a test for each row of a section, and one that says which rows have no case, and which cases no row.
 * @param cases by the row's first cell
 * @param see makes what the row is about, and opens it
 */
export function testDocumentedRows<Case>(
  section: string,
  cases: Readonly<Record<string, Case>>,
  see: (input: Case) => Promise<SeenOutcome>,
): void {
  const rows = documentedRows(section);
  describe(`docs/models.md, ${section}`, () => {
    it('has a row for each case, and a case for each row', () => {
      expect(rows.map(({ input }) => input).sort()).toEqual(Object.keys(cases).sort());
    });

    it.each(rows.map((row) => [row.input, row] as const))('%s', async (input, { outcome, quotes }) => {
      const seen = await see(cases[input] as Case);
      expect(seen.outcome).toBe(outcome);
      // What the program says of an input is in the page, and what the page quotes is said.
      expect(quotes.length > 0, seen.messages.join('\n')).toBe(seen.messages.length > 0);
      for (const quote of quotes) expect(seen.messages.join('\n')).toContain(quote);
    });
  });
}
