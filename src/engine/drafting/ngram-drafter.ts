import { LRUCache } from 'lru-cache';

import type { GenerationRequest } from '../request.js';
import { Acceptance } from './acceptance.js';
import type { DraftedSequence, Drafter, DraftToken } from './drafter.js';
import { type Continuation, LONGEST_CONTEXT, NgramTable } from './ngram-table.js';
import { LONGEST_MATCH, type Match, PromptLookup } from './prompt-lookup.js';

/** Most bytes of one table: some 32,000 n-grams at half its entries. */
const MAX_TABLE_BYTES = 2 ** 19;
/** What an entry of the cache takes beside its table. */
const ENTRY_BYTES = 8192;
/** Below this a guess is not worth a place in a draft, whatever it costs. */
const LEAST_PROBABILITY = 0.05;

/** What the requests of one tenant under one prefix version have said, and how well that was guessed. */
class Knowledge {
  readonly table: NgramTable | undefined;
  readonly acceptance = new Acceptance(NUM_KINDS);

  /** @param maxBytes of the table and all else; 0: there is no table */
  constructor(maxBytes: number) {
    if (maxBytes > 0) this.table = new NgramTable(Math.min(MAX_TABLE_BYTES, maxBytes - ENTRY_BYTES));
  }

  get bytes(): number {
    return ENTRY_BYTES + (this.table?.bytes ?? 0);
  }
}

/** What is known of a sequence in progress. */
interface Progress {
  readonly lookup: PromptLookup;
  readonly knowledge: Knowledge;
}

/**
 * Guesses from what requests of the same tenant under the same prefix version have said before, and from the sequence's own source,
 * prompt and output. Nothing is shared between two tenants or two versions. The tables least recently used are given up first.
 */
export class NgramDrafter implements Drafter {
  readonly #tables: LRUCache<string, Knowledge> | undefined;
  readonly #progress = new WeakMap<DraftedSequence, Progress>();

  /** @param maxBytes bounds all tables; 0: none, and sequences are guessed from themselves */
  constructor(private readonly maxBytes: number) {
    if (maxBytes > 0) this.#tables = new LRUCache({ maxSize: maxBytes, sizeCalculation: ({ bytes }) => bytes });
  }

  get bytes(): number {
    return this.#tables?.calculatedSize ?? 0;
  }

  draft(sequence: DraftedSequence, maxTokens: number): readonly DraftToken[] {
    const { lookup, knowledge } = this.#of(sequence);
    const warmth = warmthOf(sequence.request);
    const context = sequence.tokens.slice(-LONGEST_CONTEXT);
    let match = lookup.find();
    const draft: DraftToken[] = [];
    while (draft.length < maxTokens) {
      const guess = better(
        toGuess(knowledge, kindOfContinuation, warmth, knowledge.table?.find(context)),
        toGuess(knowledge, kindOfMatch, warmth, match && copied(lookup, match)),
      );
      if (guess === undefined || guess.probability < LEAST_PROBABILITY) break;
      draft.push(guess);
      context.push(guess.id);
      match = match && follow(lookup, match, guess.id);
    }
    return draft;
  }

  learn(sequence: DraftedSequence, count: number): void {
    const { tokens, request } = sequence;
    const { lookup, knowledge } = this.#of(sequence, count);
    const { table, acceptance } = knowledge;
    const warmth = warmthOf(request);
    const bytes = knowledge.bytes;
    for (let index = tokens.length - count; index < tokens.length; index++) {
      const id = tokens[index] as number;
      const known = table?.find(tokens, index);
      if (known) acceptance.note(kindOfContinuation(known, warmth), known.id === id);
      const match = lookup.find();
      if (match) acceptance.note(kindOfMatch(match, warmth), lookup.at(match.index) === id);
      table?.add(tokens, index);
      lookup.push(id);
    }
    if (knowledge.bytes !== bytes) this.#keep(request, knowledge);
  }

  /** @param unread tokens at the end of the sequence that its look-up is not to know yet */
  #of(sequence: DraftedSequence, unread = 0): Progress {
    const known = this.#progress.get(sequence);
    if (known !== undefined) return known;
    const { request, tokens } = sequence;
    const text = [...(request.source ?? []), ...tokens.slice(0, tokens.length - unread)];
    const progress = { lookup: new PromptLookup(text), knowledge: this.#knowledgeOf(request) };
    this.#progress.set(sequence, progress);
    return progress;
  }

  #knowledgeOf(request: GenerationRequest): Knowledge {
    const key = keyOf(request);
    if (key === undefined || this.#tables === undefined) return new Knowledge(0);
    const known = this.#tables.get(key);
    if (known !== undefined) return known;
    const knowledge = new Knowledge(this.maxBytes);
    this.#tables.set(key, knowledge);
    return knowledge;
  }

  /** Counts a table anew that has grown; one that was given up meanwhile stays away. */
  #keep(request: GenerationRequest, knowledge: Knowledge): void {
    const key = keyOf(request);
    if (key !== undefined && this.#tables?.peek(key) === knowledge) this.#tables.set(key, knowledge);
  }
}

/** Whose table a request uses; undefined for a prefix that is not named by its content. */
function keyOf({ tenant, tenantCreated, prefix }: GenerationRequest): string | undefined {
  if (prefix !== undefined && prefix.version === undefined) return undefined;
  return JSON.stringify([tenant, tenantCreated ?? null, prefix?.version ?? null, prefix?.placement ?? null]);
}

/** Kinds of guesses: by temperature, by where they come from, by tokens that agree, and by confidence. */
const WARMTHS = 3;
const CONFIDENCES = 4;
const KINDS_PER_WARMTH = LONGEST_CONTEXT * CONFIDENCES + LONGEST_MATCH;
const NUM_KINDS = WARMTHS * KINDS_PER_WARMTH;

/** How much of the sampling is chance: none, some, or a lot. */
function warmthOf({ sampling: { temperature } }: GenerationRequest): number {
  return temperature === 0 ? 0 : temperature <= 0.8 ? 1 : 2;
}

function kindOfContinuation({ length, confidence }: Continuation, warmth: number): number {
  const level = confidence < 2 ? 0 : confidence < 4 ? 1 : confidence < 12 ? 2 : 3;
  return warmth * KINDS_PER_WARMTH + (length - 1) * CONFIDENCES + level;
}

function kindOfMatch({ length }: Match, warmth: number): number {
  return warmth * KINDS_PER_WARMTH + LONGEST_CONTEXT * CONFIDENCES + length - 1;
}

function toGuess<E extends { readonly id: number }>(
  { acceptance }: Knowledge,
  kindOf: (evidence: E, warmth: number) => number,
  warmth: number,
  evidence: E | undefined,
): DraftToken | undefined {
  return evidence && { id: evidence.id, probability: acceptance.of(kindOf(evidence, warmth)) };
}

function better(a: DraftToken | undefined, b: DraftToken | undefined): DraftToken | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.probability > a.probability ? b : a;
}

/** The match with the token that follows it; undefined where that is the end of the text. */
function copied(lookup: PromptLookup, match: Match): (Match & { readonly id: number }) | undefined {
  const id = lookup.at(match.index);
  return id === undefined ? undefined : { ...match, id };
}

/** The match with one token more, if that is the one which stands there. */
function follow(lookup: PromptLookup, { index, length }: Match, id: number): Match | undefined {
  return lookup.at(index) === id ? { index: index + 1, length: Math.min(length + 1, LONGEST_MATCH) } : undefined;
}
