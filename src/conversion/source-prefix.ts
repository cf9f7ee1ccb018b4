import type { SiteRows } from './reparametrization.js';

/** A prefix for an encoder-decoder, as another program's file has it. */
export interface SourcePrefix {
  /** Rows at each site that has virtual tokens, by the site's name in `prefix/kv.ts`. */
  readonly sites: ReadonlyMap<string, SiteRows>;
  /** Name of the base model that the file gives; undefined if it gives none. */
  readonly base: string | undefined;
}
