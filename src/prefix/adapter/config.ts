import {
  baseNameWarning,
  checkField,
  checkModules,
  checkTaskType,
  type ConfigOptions,
  field,
  type Json,
  kindOf,
  parseJson,
  placementOf,
  shown,
  taskTypeWarning,
} from './config-fields.js';
import { PrefixError } from '../errors.js';
import type { AdapterKind, Placement } from './format.js';
import { type BaseModel, queryHeadsOf, selfSite } from '../kv.js';

/** Properties of an adapter that its config decides. */
export interface AdapterConfig {
  readonly kind: AdapterKind;
  readonly placement: Placement;
  readonly warnings: readonly string[];
}

/** Meaning of the rows of each accepted peft_type. MULTITASK_PROMPT_TUNING is missing: it needs a task id per request. */
const KINDS: ReadonlyMap<unknown, AdapterKind> = new Map([
  ['PREFIX_TUNING', 'prefix'],
  ['CARTRIDGE', 'prefix'],
  ['PROMPT_TUNING', 'soft_prompt'],
  ['P_TUNING', 'soft_prompt'],
  ['CPT', 'soft_prompt'],
]);

/**
 * Checks `adapter_config.json` against a frozen decoder-only model and the `rows` of the tensor that came with it (undefined: no
 * tensor). Unknown keys are tolerated, as PEFT tolerates them. Throws `PrefixError`.
 */
export function parseAdapterConfig(
  bytes: Uint8Array,
  base: BaseModel,
  rows: number | undefined,
  { placement, force }: ConfigOptions,
): AdapterConfig {
  const config = parseJson(bytes);
  const kind = kindOf(config, KINDS);
  checkShapeFields(config, kind, base, rows);
  return {
    kind,
    placement: decidePlacement(config, kind, placement),
    warnings: [
      ...taskTypeWarning(config, 'CAUSAL_LM'),
      ...missingHeadsWarning(config, kind),
      ...(force ? [] : baseNameWarning(config, base)),
    ],
  };
}

/** The config with an infix noted in it, so that it goes wherever the files go: PEFT does not know the key and leaves it alone. */
export function notePlacement(bytes: Uint8Array, placement: Placement): Uint8Array {
  const config = parseJson(bytes);
  if (placement === 'prefix' || field(config, 'placement') === placement) return bytes;
  return new TextEncoder().encode(`${JSON.stringify({ ...config, placement }, undefined, 2)}\n`);
}

/**
 * PEFT does not check these when it loads, and a wrong head count would scramble the rows without a sign. It writes the heads of keys and
 * values and their width for a prefix, those of the model for a soft prompt.
 */
function checkShapeFields(config: Json, kind: AdapterKind, base: BaseModel, rows: number | undefined): void {
  const site = selfSite(base);
  checkTaskType(config, 'CAUSAL_LM', base);
  const sites = field(config, 'sites');
  if (sites !== null) {
    throw new PrefixError(
      'sites_unsupported',
      `adapter_config.sites: ${shown(sites)}; ${base.id} is a decoder-only model, which has one site and does not name it`,
    );
  }
  checkField(config, 'num_transformer_submodules', 1, 'num_transformer_submodules_unsupported');
  checkField(config, 'num_layers', site.layers, 'num_layers_mismatch');
  const [heads, width] =
    kind === 'prefix' ? [site.kvHeads, site.kvHeads * site.headDim] : [queryHeadsOf(site), base.width];
  checkField(config, 'num_attention_heads', heads, 'num_attention_heads_mismatch');
  checkField(config, 'token_dim', width, 'token_dim_mismatch');
  // Without rows to compare with, the tensor is refused next.
  if (rows !== undefined) checkField(config, 'num_virtual_tokens', rows, 'num_virtual_tokens_mismatch');
  checkModules(config);
}

function decidePlacement(config: Json, kind: AdapterKind, asked: Placement | undefined): Placement {
  const placement = placementOf(config, asked);
  if (placement === 'infix' && kind === 'soft_prompt') {
    throw new PrefixError(
      'placement_unsupported',
      'placement: a soft prompt cannot be an infix; its embeddings are encoded for the positions before a prompt',
    );
  }
  return placement;
}

/** The width alone does not tell how many heads share it. */
function missingHeadsWarning(config: Json, kind: AdapterKind): string[] {
  if (kind !== 'prefix' || field(config, 'num_attention_heads') !== null) return [];
  return ['adapter_config.num_attention_heads is missing: the layout of the rows could not be checked'];
}
