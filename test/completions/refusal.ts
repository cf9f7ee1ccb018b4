import { CompletionError } from '../../src/completions/errors.js';

/** The error with which an action refuses. */
export function refusal(action: () => unknown): CompletionError {
  try {
    action();
  } catch (error) {
    if (error instanceof CompletionError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
