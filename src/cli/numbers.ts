import { InvalidArgumentError } from 'commander';

/** Parses an option: a whole number. */
export function count(least: number): (text: string) => number {
  return (text) => {
    if (/^\d{1,15}$/.test(text) && Number(text) >= least) return Number(text);
    throw new InvalidArgumentError(`not a whole number from ${least}.`);
  };
}

/** Parses an option: a number above 0. */
export function positive(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('not a positive number.');
}

/** Parses an option: any number. */
export function finite(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('not a number.');
}
