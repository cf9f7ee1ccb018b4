import fs from 'node:fs/promises';
import path from 'node:path';

import { packageRoot } from '#src/config/paths.js';
import type { ModelRunner } from '#src/engine/runner.js';
import type { Model } from '#src/model/model.js';
import { loadTokenizer } from '#src/tokenizer/load-tokenizer.js';

/**
 * Text that the bundled model was not trained on, documents between empty lines:
 * `python models/make/world.py --count 200 --seed 900001`.
 */
const HELD_OUT = path.join(packageRoot, 'bench/suites/engine/held-out.txt');

/** A model's log-probabilities for every token of some texts, given the tokens before it. */
export interface Opinion {
  /** Likeliest token at each place. */
  readonly best: readonly number[];
  /** Log-probability of the text's own token, in nats. */
  readonly own: readonly number[];
  /** Log-probability of each place's reference token: the reference model's likeliest. */
  readonly reference: readonly number[];
}

/** Difference of an opinion from the reference's. */
export interface OutputChange {
  /** Mean of |difference| of the log-probability of the reference's likeliest token, in nats. */
  readonly mean: number;
  readonly largest: number;
  /** Share of the places where the likeliest token is the same, 0 to 1. */
  readonly agreement: number;
  /** Mean negative log-probability of the text's own tokens, in nats. */
  readonly loss: number;
}

/** The held-out texts as token ids, each behind an end token. */
export async function heldOutTexts({ tokenizerDirectory, eosTokenIds }: Model): Promise<number[][]> {
  const tokenizer = await loadTokenizer(tokenizerDirectory);
  const documents = (await fs.readFile(HELD_OUT, 'utf8')).split('\n\n').filter((text) => text.trim() !== '');
  return documents.map((text) => [...eosTokenIds.slice(0, 1), ...tokenizer.encode(text.trim())]);
}

/** Runs a model over the texts. Without `referenceTokens` the model is its own reference. */
export async function opinionOn(
  runner: ModelRunner,
  texts: readonly (readonly number[])[],
  referenceTokens?: readonly number[],
): Promise<Opinion> {
  const opinion = { best: [] as number[], own: [] as number[], reference: [] as number[] };
  for (const tokens of texts) {
    const chunk = { slot: 0, tokens: tokens.slice(0, -1), past: 0, logits: 'all', temperature: 1 } as const;
    const output = await runner.step({ rows: [chunk], topK: 1 });
    for (let row = 0; row < output.rows; row++) {
      const logits = output.logits(row);
      const logprob = (id: number | undefined): number => (logits[id ?? -1] ?? NaN) - (output.lse[row] ?? NaN);
      const best = output.topIds[row] ?? -1;
      const place = opinion.best.push(best) - 1;
      opinion.own.push(logprob(tokens[row + 1]));
      opinion.reference.push(logprob(referenceTokens === undefined ? best : referenceTokens[place]));
    }
  }
  return opinion;
}

export function outputChange(opinion: Opinion, reference: Opinion): OutputChange {
  const differences = opinion.reference.map((value, place) => Math.abs(value - (reference.reference[place] ?? NaN)));
  return {
    mean: mean(differences),
    largest: differences.reduce((largest, difference) => Math.max(largest, difference), 0),
    agreement: mean(opinion.best.map((id, place) => (id === reference.best[place] ? 1 : 0))),
    loss: -mean(opinion.own),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
