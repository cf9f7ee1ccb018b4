import { ConfigError } from './error.js';
import { type Context, parseInteger } from './parsers.js';

/** A variable of the environment, with its default and its parser. */
export interface Variable<T> {
  readonly name: string;
  /** The value of a variable that is absent or empty. */
  readonly fallback: () => T;
  /** Throws an `Error` whose message says what is wrong with the text. */
  readonly parse: (text: string, context: Context) => T;
}

/**
 * Reads a variable.
 * @throws ConfigError naming the variable, for a bad value
 */
export function readVariable<T>({ name, fallback, parse }: Variable<T>, env: NodeJS.ProcessEnv, context: Context): T {
  const given = env[name];
  if (given === undefined || given === '') return fallback();
  try {
    return parse(given, context);
  } catch (error) {
    throw new ConfigError(name, (error as Error).message);
  }
}

/** A variable with a parser of its own. */
export function variable<T>(name: string, fallback: () => T, parse: Variable<T>['parse']): Variable<T> {
  return { name, fallback, parse };
}

/** A whole number within a range. */
export function integer(name: string, fallback: number, min: number, max: number): Variable<number> {
  return variable(name, () => fallback, parseInteger(min, max));
}

/** One of several words. */
export function choice<const T extends string, F extends T | undefined>(
  name: string,
  fallback: F,
  values: readonly T[],
): Variable<T | F> {
  return variable<T | F>(
    name,
    () => fallback,
    (given) => {
      const value = values.find((candidate) => candidate === given);
      if (!value) throw new Error(`'${given}' is none of ${values.join(', ')}`);
      return value;
    },
  );
}
