import { table } from '../io.js';

/** A finding about the machine or a choice made for it. */
export interface Fact {
  /** In bytes if the fact's name ends in `_bytes`; null for none. */
  readonly value: string | number | boolean | null;
  readonly why?: string;
}

/** A problem and its remedy. */
export interface Problem {
  readonly problem: string;
  /** The remedy. */
  readonly fix: string;
  /** Whether the problem keeps the server from starting. */
  readonly fatal: boolean;
}

/** The findings on one subject. Names are in snake case, for programs. */
export interface Section {
  readonly name: string;
  readonly facts: Readonly<Record<string, Fact>>;
  readonly problems: readonly Problem[];
}

/** All problems, fatal ones first. */
export function problemsOf(sections: readonly Section[]): Problem[] {
  const all = sections.flatMap(({ problems }) => problems);
  return [...all.filter(({ fatal }) => fatal), ...all.filter(({ fatal }) => !fatal)];
}

/** The report for programs: one object of facts for each section, and all problems. */
export function toJson(sections: readonly Section[]): Record<string, unknown> {
  const facts = Object.fromEntries(sections.map(({ name, facts }) => [name, facts]));
  return { ...facts, problems: problemsOf(sections) };
}

/** The report for people: a table for each section, then the problems and their remedies. */
export function toText(sections: readonly Section[]): string {
  return [...sections.filter(({ facts }) => Object.keys(facts).length > 0).map(describe), summarise(sections)].join(
    '\n\n',
  );
}

function describe({ name, facts }: Section): string {
  const rows = Object.entries(facts).map(([fact, { value, why = '' }]) => [title(fact), show(fact, value), why]);
  return table([name.toUpperCase(), '', ''], rows);
}

function summarise(sections: readonly Section[]): string {
  const problems = problemsOf(sections);
  if (problems.length === 0) return 'No problems.';
  return problems.map(({ problem, fix, fatal }) => `${fatal ? 'ERROR' : 'WARNING'}  ${problem}\n  ${fix}`).join('\n');
}

/** A fact's name in words; settings keep the names of their variables. */
function title(fact: string): string {
  return /^[A-Z]/.test(fact) ? fact : fact.replace(/_bytes$/, '').replaceAll('_', ' ');
}

function show(fact: string, value: Fact['value']): string {
  if (value === null) return 'none';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return typeof value === 'number' && fact.endsWith('_bytes') ? showBytes(value) : String(value);
}

/** A number of bytes in the largest binary unit that leaves at least 1. */
export function showBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 1024 ** unit).toPrecision(3))} ${units[unit] ?? ''}`;
}
