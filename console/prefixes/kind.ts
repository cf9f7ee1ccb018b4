import type { PrefixVersion } from '../api/types.js';

const KINDS = { prefix: 'keys and values', soft_prompt: 'soft prompt', text: 'text' } as const;

/** What a version is made of, in words. */
export function kindOf({ kind, placement }: Pick<PrefixVersion, 'kind' | 'placement'>): string {
  return placement === 'infix' ? `${KINDS[kind]}, infix` : KINDS[kind];
}
