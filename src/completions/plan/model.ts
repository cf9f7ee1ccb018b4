import type { BlendEntry, RequestPrefix } from '../../engine/request.js';
import { type BaseModel, numSourceEmbeddings, numVirtualTokens, type PrefixKv } from '../../prefix/kv.js';
import type { GenerationConfig } from '../../engine/generation-config.js';
import type { CompletionTrace } from '../context.js';
import type { CompletionParams } from '../request/params.js';
import { loadPrefix, type Models, type PrefixSource } from './prefix.js';
import { type PromptRoom, roomOf } from './room.js';

/** What a request is completed with. */
export interface RequestModel {
  /** Undefined: the base model alone, or a blend. */
  readonly prefix?: RequestPrefix | undefined;
  /** Undefined or left out: no blend. */
  readonly blend?: readonly BlendEntry[] | undefined;
  /** Different chat templates of the prefixes; none, or left out: the model's counts. */
  readonly templates?: readonly string[];
  /** Opaque ids of the versions that were chosen among several that share a name; none, or left out: there are none. */
  readonly chosenIds?: readonly string[];
}

/** Digits by which an answer names a version. */
const SHOWN_DIGITS = 12;

/**
 * Loads the prefixes that a request names. An entry that counts for nothing must exist, and is left out; a blend of which one entry is left,
 * with weight 1, is that entry's own completion.
 * @throws as `loadPrefix`
 */
export async function loadModel(
  models: Models<PrefixSource>,
  tenant: string,
  { model, blend, user }: Pick<CompletionParams, 'model' | 'blend' | 'user'>,
  trace: CompletionTrace | undefined,
): Promise<RequestModel> {
  const asker = { tenant, user };
  const loading = (blend ?? [{ model, weight: 1 }]).map(async ({ weight, ...named }) => ({
    prefix: await loadPrefix(models, asker, named, trace),
    weight,
  }));
  const entries = (await Promise.all(loading)).filter(({ weight }) => weight !== 0);
  const templates = [...new Set(entries.flatMap(({ prefix }) => prefix?.templates ?? []))];
  const chosenIds = [...new Set(entries.flatMap(({ prefix }) => prefix?.chosenIds ?? []))];
  const [first] = entries;
  return entries.length === 1 && first?.weight === 1
    ? { prefix: first.prefix, templates, chosenIds }
    : { blend: entries, templates, chosenIds };
}

/**
 * The first digits of the versions that a request is completed with, as `name@VERSION` has them: those of a composition with `+` between them,
 * those of a blend with commas, the base model left out; undefined where no prefix has a version.
 */
export function versionsOf({ prefix, blend }: RequestModel): string | undefined {
  const versions = (blend ?? [{ prefix }]).flatMap((entry) => entry.prefix?.version ?? []);
  const shown = versions.map((version) =>
    version
      .split('+')
      .map((one) => one.slice(0, SHOWN_DIGITS))
      .join('+'),
  );
  return shown.length === 0 ? undefined : shown.join(',');
}

/** The keys and values of each row that a completion computes beside the others; undefined for one of the base model alone. */
function rowsOf({ prefix, blend }: RequestModel): readonly (PrefixKv | undefined)[] {
  return (blend ?? [{ prefix }]).map((entry) => entry.prefix?.kv);
}

/** Rows that each of a request's choices takes in a step: one, or one for each entry of a blend. */
export function countRows(model: RequestModel): number {
  return rowsOf(model).length;
}

/** The room that all rows of a request leave to a prompt. @param generation undefined for a decoder-only model */
export function sharedRoom(base: BaseModel, model: RequestModel, generation: GenerationConfig | undefined): PromptRoom {
  const rooms = rowsOf(model).map((kv) => roomOf(base, kv, generation));
  return rooms.reduce((room, other) => ({
    ...room,
    virtualTokens: Math.max(room.virtualTokens, other.virtualTokens),
    source: room.source &&
      other.source && {
        ...room.source,
        virtualTokens: Math.max(room.source.virtualTokens, other.source.virtualTokens),
      },
  }));
}

/** Virtual tokens before a prompt, over all rows: of several sites, those of the one that has the most. */
export function countVirtualTokens(base: BaseModel, model: RequestModel): number {
  const count = (kv: PrefixKv | undefined): number =>
    Math.max(numSourceEmbeddings(kv, base), ...base.sites.map((site) => numVirtualTokens(kv, site)));
  return rowsOf(model).reduce((total, kv) => total + count(kv), 0);
}
