import { createHash } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import type { CachedBlocks } from '../policy/admission.js';
import type { GenerationRequest } from '../request.js';
import type { KvCopy, ModelRunner } from '../runner.js';
import type { Sequence } from '../sequence.js';

/** Tokens of a block. The rest of a prompt behind its last whole block is always computed. */
export const BLOCK_TOKENS = 16;

interface Entry {
  readonly block: KvCopy;
  /** Key of the block that stands before it; none of the first. */
  readonly parent: string | undefined;
}

/**
 * Keys and values of prompts that were computed, in blocks of tokens, for later requests of the same tenant under the same prefix
 * version. A block is found by a hash over the tenant, the prefix and all tokens up to its end (as in vLLM's automatic prefix caching),
 * so whoever finds one would have computed the same. The least recently used are given up first, of one prompt the last first.
 */
export class PromptCache {
  readonly #entries: LRUCache<string, Entry>;
  readonly #keys = new WeakMap<GenerationRequest, readonly string[]>();

  /** @param maxBytes above 0; bounds the blocks held */
  constructor(private readonly maxBytes: number) {
    this.#entries = new LRUCache({ maxSize: maxBytes, sizeCalculation: ({ block }) => block.bytes });
  }

  /** Bytes of the blocks held. */
  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  /** Blocks that a request's prompt begins with, never all of it; undefined where the request may not use the cache. */
  find(request: GenerationRequest): CachedBlocks<KvCopy> | undefined {
    if (!isCacheable(request)) return undefined;
    const blocks = this.#heldKeys(request).flatMap((key) => this.#entries.peek(key)?.block ?? []);
    return { blocks, numTokens: BLOCK_TOKENS * blocks.length };
  }

  /** Counts the blocks that `find` returns as used now. */
  use(request: GenerationRequest): void {
    this.#touch(this.#heldKeys(request));
  }

  /** Keeps what is computed of a sequence's prompt, before its slot changes hands. */
  async keep(sequence: Sequence, runner: ModelRunner): Promise<void> {
    const { slot, request, numComputedTokens } = sequence;
    if (slot === undefined) return;
    await this.store(request, numComputedTokens, (index) =>
      runner.readSlot(slot, sequence.positionOf(index), BLOCK_TOKENS),
    );
  }

  /**
   * Keeps the whole blocks among the first `numComputed` tokens of a request's prompt, as many as fit.
   * @param read gives the block that begins with token `index` of the prompt; called for those that are not held
   */
  async store(
    request: GenerationRequest,
    numComputed: number,
    read: (index: number) => Promise<KvCopy>,
  ): Promise<void> {
    const keys = this.#keysOf(request).slice(0, Math.floor(numComputed / BLOCK_TOKENS));
    const numHeld = this.#heldKeys(request).length;
    if (numHeld >= keys.length) return;
    // The blocks before a block are used after it, so they outlive it: without them it could not be found.
    this.#touch(keys.slice(0, numHeld));
    const blocks: KvCopy[] = [];
    for (let index = numHeld; index < keys.length; index++) {
      const block = await read(index * BLOCK_TOKENS);
      if ((index + 1) * block.bytes > this.maxBytes) break; // it would take the place of the prompt's own beginning
      blocks.push(block);
    }
    for (const [index, block] of [...blocks.entries()].reverse()) {
      const key = keys[numHeld + index] as string;
      this.#entries.set(key, { block, parent: keys[numHeld + index - 1] });
    }
    this.#touch(keys.slice(0, numHeld));
  }

  /** @throws Error when more bytes are held than allowed, or a block without those before it. */
  checkIntegrity(): void {
    const bytes = [...this.#entries.values()].reduce((total, { block }) => total + block.bytes, 0);
    if (bytes !== this.bytes || bytes > this.maxBytes) throw new Error(`the prompt cache holds ${bytes} bytes`);
    for (const { parent } of this.#entries.values()) {
      if (parent !== undefined && !this.#entries.has(parent)) throw new Error('a block is held that cannot be found');
    }
  }

  #heldKeys(request: GenerationRequest): readonly string[] {
    const keys = this.#keysOf(request);
    const missing = keys.findIndex((key) => !this.#entries.has(key));
    return missing < 0 ? keys : keys.slice(0, missing);
  }

  #keysOf(request: GenerationRequest): readonly string[] {
    const known = this.#keys.get(request);
    if (known !== undefined) return known;
    const keys = hashBlocks(request);
    this.#keys.set(request, keys);
    return keys;
  }

  /** Makes the first of them the most recently used. */
  #touch(keys: readonly string[]): void {
    for (const key of keys.toReversed()) this.#entries.get(key);
  }
}

/**
 * Whether a request may find its prompt in the cache: one whose prompt is scored needs the logits of all its tokens, and what is computed
 * behind a source depends on it.
 */
function isCacheable({ promptLogprobs, prefix, source }: GenerationRequest): boolean {
  if (source !== undefined) return false;
  return promptLogprobs === undefined && (prefix === undefined || prefix.version !== undefined);
}

/** One key for each whole block of the prompt without its last token, whose logits are always needed. */
function hashBlocks(request: GenerationRequest): string[] {
  if (!isCacheable(request)) return [];
  const { tenant, tenantCreated, prefix, prompt } = request;
  const root = JSON.stringify([tenant, tenantCreated ?? null, prefix?.version ?? null, prefix?.placement ?? null]);
  let key = createHash('sha256').update(root).digest('base64');
  return Array.from({ length: Math.floor((prompt.length - 1) / BLOCK_TOKENS) }, (_, block) => {
    const tokens = Uint32Array.from(prompt.slice(block * BLOCK_TOKENS, (block + 1) * BLOCK_TOKENS));
    key = createHash('sha256').update(key).update(tokens).digest('base64');
    return key;
  });
}
