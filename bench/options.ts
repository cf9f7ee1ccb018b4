import { parseArgs } from 'node:util';

import { PREFIX_LENGTH } from './workload.js';

export interface Options {
  /** Users that generate together; one measurement each. */
  readonly rows: readonly number[];
  /** Mean positions of a row while it is measured, prefix included. */
  readonly context: number;
  /** Steps in which all rows decode together. */
  readonly tokens: number;
  readonly repeats: number;
  readonly threads: number | undefined;
  readonly help: boolean;
}

export const USAGE = `Usage: npm run bench -- [options]
Tokens per second of a random GPT-2 of 124M's shape: the whole server over HTTP beside the engine alone.
  --rows 1,8,32    users that generate together
  --context 130    mean positions of a row, its prefix of ${PREFIX_LENGTH} included
  --tokens 32      steps in which all rows decode together
  --repeats 5      measurements of each; the median counts
  --threads N      threads inside a step (physical cores)`;

/** @throws Error for an argument that is unknown or not a positive number */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: 'string', default: '1,8,32' },
      context: { type: 'string', default: '130' },
      tokens: { type: 'string', default: '32' },
      repeats: { type: 'string', default: '5' },
      threads: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    rows: values.rows.split(',').map((text) => positive('rows', text)),
    context: positive('context', values.context),
    tokens: positive('tokens', values.tokens),
    repeats: positive('repeats', values.repeats),
    threads: values.threads === undefined ? undefined : positive('threads', values.threads),
    help: values.help,
  };
}

function positive(name: string, text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new Error(`--${name}: '${text}' is not a positive number`);
}
