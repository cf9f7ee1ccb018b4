import { PrefixError, type PrefixErrorCode } from '../errors.js';
import type { Placement } from './format.js';
import type { BaseModel } from '../kv.js';

/** An `adapter_config.json` that is still to be checked. */
export type Json = Record<string, unknown>;

export interface ConfigOptions {
  /** Undefined: what the config says, and `prefix` where it says nothing. */
  readonly placement?: Placement | undefined;
  /** Accepts an adapter of a base model of another name without a warning. */
  readonly force?: boolean | undefined;
}

/** Parses an `adapter_config.json`. Throws `adapter_config_not_json`. */
export function parseJson(bytes: Uint8Array): Json {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    JSON.stringify(value); // what is nested too deep for that could not be stored with its placement
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  } catch {
    // Refused below like JSON that is no object.
  }
  throw new PrefixError('adapter_config_not_json', 'adapter_config: not a JSON object in UTF-8, or nested too deep');
}

/** The meaning that `kinds` gives to the config's peft_type. Throws `peft_type_unsupported`, naming those that there are. */
export function kindOf<Kind>(config: Json, kinds: ReadonlyMap<unknown, Kind>): Kind {
  const peftType = field(config, 'peft_type');
  const kind = kinds.get(peftType);
  if (kind !== undefined) return kind;
  const accepted = [...kinds.keys()].join(', ');
  throw new PrefixError(
    'peft_type_unsupported',
    `adapter_config.peft_type: ${shown(peftType)}; accepted are ${accepted}`,
  );
}

/** Checks that a field is null or missing, or exactly the expected value. */
export function checkField(config: Json, name: string, expected: string | number, code: PrefixErrorCode): void {
  const value = field(config, name);
  if (value === null || value === expected) return;
  throw new PrefixError(code, `adapter_config.${name}: ${shown(value)}; must be null or ${shown(expected)}`);
}

const TASKS = { CAUSAL_LM: 'a decoder-only model', SEQ_2_SEQ_LM: 'an encoder-decoder' } as const;

/** Warns of a file without a task_type. PEFT runs the bare model with it, in training too, so its rows may never have been trained. */
export function taskTypeWarning(config: Json, expected: keyof typeof TASKS): string[] {
  if (field(config, 'task_type') !== null) return [];
  return [
    `adapter_config.task_type is missing: served as ${expected}, but PEFT does nothing with such a file and does not train it; ` +
      `give get_peft_model's config task_type="${expected}"`,
  ];
}

/** Checks that a task_type, if there is one, is that of the base model's family. */
export function checkTaskType(config: Json, expected: keyof typeof TASKS, base: BaseModel): void {
  const task = field(config, 'task_type');
  if (task === null || task === expected) return;
  throw new PrefixError(
    'task_type_unsupported',
    `adapter_config.task_type: ${shown(task)}; ${base.id} is ${TASKS[expected]}, so it must be null or ${expected}`,
  );
}

/** Checks that the adapter brings no modules of its own. An empty list is none, as for PEFT. */
export function checkModules(config: Json): void {
  const modules = field(config, 'modules_to_save');
  if (modules === null || (Array.isArray(modules) && modules.length === 0)) return;
  throw new PrefixError(
    'modules_to_save_unsupported',
    'adapter_config.modules_to_save: must be null or an empty list; the base model is frozen and modules of an adapter are not loaded',
  );
}

/** Placement that the caller asks for or the config notes. A caller who contradicts the config has mixed up two files. */
export function placementOf(config: Json, asked: Placement | undefined): Placement {
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
  return asked ?? noted ?? 'prefix';
}

/** Only a warning, never a refusal: directories are renamed all the time, and the shape has been checked. */
export function baseNameWarning(config: Json, base: BaseModel): string[] {
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
export function field(config: Json, name: string): unknown {
  return Object.hasOwn(config, name) ? (config[name] ?? null) : null;
}

/** An untrusted value, short enough for a message. */
export function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  if (typeof value !== 'string') return String(value);
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}...` : value);
}
