import { numSourceEmbeddings, type PrefixKv } from '../prefix/kv.js';
import type { SourceEncoder } from './runner.js';

/** Positions that a source takes in an encoder, with the embeddings that a prefix puts before it. */
export function sourceLength(
  source: readonly number[],
  prefix: PrefixKv | undefined,
  encoder: Pick<SourceEncoder, 'width'>,
): number {
  return source.length + numSourceEmbeddings(prefix, encoder);
}
