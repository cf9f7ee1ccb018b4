import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Command } from 'commander';

import { SCORE_LABELS, SCORE_NAMES } from '../../evaluation/scores/names.js';
import { Client, type ClientOptions } from '../client.js';
import { type Io, print, table } from '../io.js';
import {
  type EvaluateOptions,
  refuseContradictory,
  type Result,
  runEvaluate,
  withEvaluationOptions,
  withoutTexts,
} from './evaluate.js';
import { pullAdapter } from './prefix-paths.js';

type DiffOptions = ClientOptions & EvaluateOptions;

/** `preamble prefix diff`: loss and scores of two prefixes on the same data. @param command makes a command of `preamble prefix` */
export function addPrefixDiff(command: (usage: string, description: string) => Command, io: Io): void {
  const diff = command(
    'diff <a> <b>',
    'Compare two prefixes on the same data: directories, or NAME[@VERSION] of a server.',
  );
  withEvaluationOptions(diff).action(async (a: string, b: string, options: DiffOptions) => {
    refuseContradictory(options, diff);
    const scratch = await fs.mkdtemp(join(tmpdir(), 'preamble-diff-'));
    try {
      const directories = [
        await adapterOf(a, options, join(scratch, 'a')),
        await adapterOf(b, options, join(scratch, 'b')),
      ];
      const results = await runEvaluate({ ...options, prefix: directories }, io);
      const [first, second] = results.map((result, i) => ({ ...result, prefix: i === 0 ? a : b })) as [Result, Result];
      print(io, options.json ? JSON.stringify(toJson(first, second)) : describe(first, second));
    } finally {
      await fs.rm(scratch, { recursive: true });
    }
  });
}

/** The directory of an adapter: the one that is named, or `scratch` with what the server has by that name. */
async function adapterOf(named: string, options: ClientOptions, scratch: string): Promise<string> {
  const isDirectory = await fs.stat(named).then(
    (stat) => stat.isDirectory(),
    () => false,
  );
  if (isDirectory) return named;
  await pullAdapter(new Client(options), named, scratch);
  return scratch;
}

/** Both results, and how much more the second has of each measure. */
function toJson(a: Result, b: Result): object {
  const difference = Object.fromEntries(measuresOf(a, b).map(({ key, first, second }) => [key, second - first]));
  return { a: withoutTexts(a), b: withoutTexts(b), difference };
}

function describe(a: Result, b: Result): string {
  const rows = measuresOf(a, b).map(({ label, first, second }) => {
    const change = second - first;
    return [label, first.toFixed(4), second.toFixed(4), `${change < 0 ? '' : '+'}${change.toFixed(4)}`];
  });
  return [`A: ${a.prefix}`, `B: ${b.prefix}`, table(['MEASURE', 'A', 'B', 'B - A'], rows)].join('\n');
}

interface Measure {
  readonly key: string;
  readonly label: string;
  readonly first: number;
  readonly second: number;
}

/** What both have: the loss, and the scores that were asked for. */
function measuresOf(a: Result, b: Result): Measure[] {
  const scores = SCORE_NAMES.flatMap((key) => {
    const [first, second] = [a.scores?.[key], b.scores?.[key]];
    return first === undefined || second === undefined ? [] : [{ key, label: SCORE_LABELS[key], first, second }];
  });
  return [{ key: 'loss', label: 'Loss', first: a.loss, second: b.loss }, ...scores];
}
