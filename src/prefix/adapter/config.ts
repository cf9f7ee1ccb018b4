import { PrefixError, type PrefixErrorCode } from '../errors.js';
import type { AdapterKind, Placement } from './format.js';
import { type BaseModel, selfSite } from '../kv.js';

/** Properties of an adapter that its config decides. */
export interface AdapterConfig {
  readonly kind: AdapterKind;
  readonly placement: Placement;
  readonly warnings: readonly string[];
}

type Json = Record<string, unknown>;

/** Meaning of the rows of each accepted peft_type. MULTITASK_PROMPT_TUNING is missing: it needs a task id per request. */
const KINDS: ReadonlyMap<unknown, AdapterKind> = new Map([
  ['PREFIX_TUNING', 'prefix'],
  ['CARTRIDGE', 'prefix'],
  ['PROMPT_TUNING', 'soft_prompt'],
  ['P_TUNING', 'soft_prompt'],
  ['CPT', 'soft_prompt'],
]);

export interface ConfigOptions {
  /** Undefined: what the config says, and `prefix` where it says nothing. */
  readonly placement?: Placement | undefined;
  /** Accepts an adapter of a base model of another name without a warning. */
  readonly force?: boolean | undefined;
}

/**
 * Checks `adapter_config.json` against the frozen model and the `rows` of the tensor that came with it (undefined: no
 * tensor). Unknown keys are tolerated, as PEFT tolerates them. Throws `PrefixError`.
 */
export function parseAdapterConfig(
  bytes: Uint8Array,
  base: BaseModel,
  rows: number | undefined,
  { placement, force }: ConfigOptions,
): AdapterConfig {
  const config = parseJson(bytes);
  const kind = checkPeftType(config);
  checkShapeFields(config, base, rows);
  return {
    kind,
    placement: decidePlacement(config, kind, placement),
    warnings: [...missingHeadsWarning(config, kind), ...(force ? [] : baseNameWarning(config, base))],
  };
}

/** The config with an infix noted in it, so that it goes wherever the files go: PEFT does not know the key and leaves it alone. */
export function notePlacement(bytes: Uint8Array, placement: Placement): Uint8Array {
  const config = parseJson(bytes);
  if (placement === 'prefix' || field(config, 'placement') === placement) return bytes;
  return new TextEncoder().encode(`${JSON.stringify({ ...config, placement }, undefined, 2)}\n`);
}

function parseJson(bytes: Uint8Array): Json {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    JSON.stringify(value); // what is nested too deep for that could not be stored with its placement
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  } catch {
    // Refused below like JSON that is no object.
  }
  throw new PrefixError('adapter_config_not_json', 'adapter_config: not a JSON object in UTF-8, or nested too deep');
}

function checkPeftType(config: Json): AdapterKind {
  const peftType = field(config, 'peft_type');
  const kind = KINDS.get(peftType);
  if (kind !== undefined) return kind;
  const accepted = [...KINDS.keys()].join(', ');
  throw new PrefixError(
    'peft_type_unsupported',
    `adapter_config.peft_type: ${shown(peftType)}; accepted are ${accepted}`,
  );
}

/** PEFT does not check these when it loads, and a wrong head count would scramble the rows without a sign. */
function checkShapeFields(config: Json, base: BaseModel, rows: number | undefined): void {
  const site = selfSite(base);
  checkField(config, 'task_type', 'CAUSAL_LM', 'task_type_unsupported');
  checkField(config, 'num_transformer_submodules', 1, 'num_transformer_submodules_unsupported');
  checkField(config, 'num_layers', site.layers, 'num_layers_mismatch');
  checkField(config, 'num_attention_heads', site.kvHeads, 'num_attention_heads_mismatch');
  checkField(config, 'token_dim', base.width, 'token_dim_mismatch');
  // Without rows to compare with, the tensor is refused next.
  if (rows !== undefined) checkField(config, 'num_virtual_tokens', rows, 'num_virtual_tokens_mismatch');
  if (field(config, 'modules_to_save') !== null) {
    throw new PrefixError(
      'modules_to_save_unsupported',
      'adapter_config.modules_to_save: not null; the base model is frozen and modules of an adapter are not loaded',
    );
  }
}

/** Null or missing, or exactly the expected value. */
function checkField(config: Json, name: string, expected: string | number, code: PrefixErrorCode): void {
  const value = field(config, name);
  if (value === null || value === expected) return;
  throw new PrefixError(code, `adapter_config.${name}: ${shown(value)}; must be null or ${shown(expected)}`);
}

/** Our trainer notes an infix in the config. A caller who says otherwise has mixed up two files. */
function decidePlacement(config: Json, kind: AdapterKind, asked: Placement | undefined): Placement {
  const noted = field(config, 'placement');
  if (noted !== null && noted !== 'prefix' && noted !== 'infix') {
    throw new PrefixError(
      'placement_invalid',
      `adapter_config.placement: ${shown(noted)}; must be "prefix" or "infix"`,
    );
  }
  if (asked !== undefined && noted !== null && asked !== noted) {
    throw new PrefixError('placement_conflict', `placement: ${shown(asked)}, but adapter_config says ${shown(noted)}`);
  }
  const placement = asked ?? noted ?? 'prefix';
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

/** Only a warning, never a refusal: directories are renamed all the time, and the shape has been checked. */
function baseNameWarning(config: Json, base: BaseModel): string[] {
  const path = field(config, 'base_model_name_or_path');
  if (typeof path !== 'string') return [`adapter_config.base_model_name_or_path is missing; served on ${base.id}`];
  const lastSegment = path
    .split(/[/\\]/)
    .filter((segment) => segment !== '')
    .at(-1);
  if (lastSegment === base.id.split('/').at(-1)) return [];
  return [`adapter_config.base_model_name_or_path is ${shown(path)}; served on ${base.id}`];
}

/** An own property, or null where it is missing: PEFT writes null for what it does not know. */
function field(config: Json, name: string): unknown {
  return Object.hasOwn(config, name) ? (config[name] ?? null) : null;
}

/** An untrusted value, short enough for a message. */
function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  if (typeof value !== 'string') return String(value);
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}...` : value);
}
