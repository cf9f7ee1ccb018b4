import path from 'node:path';

import { threadsOf } from '../options.js';
import type { Build } from '../process/build.js';
import type { BenchContext, Finding, Suite } from '../suite.js';
import { measureBeside } from './measure-beside.js';
import { pairFindings, pairTable, worstRatio } from './pair.js';

/** Outcome of a suite. */
export interface SuiteResult {
  readonly findings: readonly Finding[];
  /** Findings for a terminal. */
  readonly text: string;
}

/** Runs a suite on this build and another one, with the same threads and checkpoint, each with compiled models of its own. */
export async function runBeside(suite: Suite, context: BenchContext, other: Build): Promise<SuiteResult> {
  const ours = { ...context, options: { ...context.options, threads: threadsOf(context.options) } };
  const others = { ...ours, build: other, cache: path.join(other.directory, 'bench/.cache/compiled') };
  const keep = context.keep;
  const pairs = await measureBeside(suite, ours, others, (pairs) => keep(pairFindings(pairs, other.name)));
  const text = `${pairTable(pairs, other.name)}\n${worstRatio(pairs, other.name)}`;
  return { findings: pairFindings(pairs, other.name), text };
}
