import { Engine } from '#src/engine/engine.js';
import { openModel } from '#src/model/model.js';
import { type PrefixKv, rowWidth, selfSite } from '#src/prefix/kv.js';
import { loadTokenizer } from '#src/tokenizer/load-tokenizer.js';
import { threadsOf } from '../options.js';
import type { BenchContext } from '../suite.js';
import { engineTarget, type Target } from '../load/targets.js';

/** An engine in this process, with the bench's model. */
export interface OpenEngine {
  readonly engine: Engine;
  /** Number of values of one virtual token. */
  readonly columns: number;
  /** Target that generates with each user's prefix from `prefixes`. */
  target(prefixes: ReadonlyMap<string, PrefixKv>): Target;
  close(): Promise<void>;
}

/** Opens the model for `slots` rows. */
export async function openEngine({ checkpoint, cache, options }: BenchContext, slots: number): Promise<OpenEngine> {
  const model = await openModel({ source: checkpoint, cache, slots, threads: threadsOf(options) });
  try {
    const tokenizer = await loadTokenizer(model.tokenizerDirectory);
    const { base, runner, eosTokenIds } = model;
    const engine = new Engine({ runner, tokenizer, eosTokenIds });
    return {
      engine,
      columns: rowWidth(selfSite(base)),
      target: (prefixes) => engineTarget(engine, prefixes),
      close: () => engine.drain().finally(() => model.dispose()),
    };
  } catch (error) {
    await model.dispose();
    throw error;
  }
}
