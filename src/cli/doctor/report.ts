import { table } from '../io.js';

/** One thing that was found out, or that Preamble chose. */
export interface Fact {
  /** In bytes where the fact's name ends in `_bytes`; null: there is none. */
  readonly value: string | number | boolean | null;
  readonly why?: string;
}

export interface Problem {
  readonly problem: string;
  /** What to do about it. */
  readonly fix: string;
  /** Whether it would keep the server from starting. */
  readonly fatal: boolean;
}

/** What the doctor says about one matter. Names are in snake case: programs read them. */
export interface Section {
  readonly name: string;
  readonly facts: Readonly<Record<string, Fact>>;
  readonly problems: readonly Problem[];
}

/** All problems, those that keep the server from starting first. */
export function problemsOf(sections: readonly Section[]): Problem[] {
  const all = sections.flatMap(({ problems }) => problems);
  return [...all.filter(({ fatal }) => fatal), ...all.filter(({ fatal }) => !fatal)];
}

/** For programs: one object of facts for each section, and all problems. */
export function toJson(sections: readonly Section[]): Record<string, unknown> {
  const facts = Object.fromEntries(sections.map(({ name, facts }) => [name, facts]));
  return { ...facts, problems: problemsOf(sections) };
}

/** For people: a table for each section, then the problems and what to do about them. */
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

/** Settings are called by their variables. */
function title(fact: string): string {
  return /^[A-Z]/.test(fact) ? fact : fact.replace(/_bytes$/, '').replaceAll('_', ' ');
}

function show(fact: string, value: Fact['value']): string {
  if (value === null) return 'none';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return typeof value === 'number' && fact.endsWith('_bytes') ? showBytes(value) : String(value);
}

/** In the largest binary unit that leaves at least 1. */
export function showBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 1024 ** unit).toPrecision(3))} ${units[unit] ?? ''}`;
}
