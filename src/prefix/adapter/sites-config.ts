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
import { type AdapterKind, PREFIX_TENSOR, siteTensor } from './format.js';
import { type BaseModel, CROSS, DECODER, ENCODER, siteNamed } from '../kv.js';

/** Properties of an encoder-decoder's adapter that its config decides. */
export interface SitesConfig {
  readonly kind: AdapterKind;
  /** Sites that the adapter has rows for, in the model's order; undefined for a file of PEFT, which does not name them. */
  readonly sites: readonly string[] | undefined;
  readonly warnings: readonly string[];
}

/** MULTITASK_PROMPT_TUNING needs a task id per request; PEFT has CARTRIDGE and CPT for decoder-only models. */
const KINDS: ReadonlyMap<unknown, AdapterKind> = new Map([
  ['PREFIX_TUNING', 'prefix'],
  ['PROMPT_TUNING', 'soft_prompt'],
  ['P_TUNING', 'soft_prompt'],
]);

/**
 * Checks `adapter_config.json` against a frozen encoder-decoder and the tensors that came with it. Unknown keys are tolerated.
 * @param rowsOf number of rows of each tensor, whatever its name
 * @throws PrefixError
 */
export function parseSitesConfig(
  bytes: Uint8Array,
  base: BaseModel,
  rowsOf: ReadonlyMap<string, number | undefined>,
  { placement, force }: ConfigOptions,
): SitesConfig {
  const config = parseJson(bytes);
  const kind = kindOf(config, KINDS);
  checkTaskType(config, 'SEQ_2_SEQ_LM', base);
  const stored = base.sites.map(({ name }) => name).filter((name) => rowsOf.has(siteTensor(name)));
  const isOfSites = field(config, 'sites') !== null || stored.length > 0;
  if (isOfSites) checkSitesFields(config, base, stored, rowsOf);
  else checkPeftFields(config, base, kind, rowsOf.get(PREFIX_TENSOR));
  checkModules(config);
  if (isOfSites) checkSites(config, base, kind, stored);
  if (placementOf(config, placement) === 'infix') {
    throw new PrefixError(
      'placement_unsupported',
      `placement: ${base.id} is an encoder-decoder, whose virtual tokens stand before the source and the target; an infix has no place`,
    );
  }
  const warnings = [
    // Rows at sites are no file of PEFT's.
    ...(isOfSites ? [] : taskTypeWarning(config, 'SEQ_2_SEQ_LM')),
    ...(force ? [] : baseNameWarning(config, base)),
  ];
  return { kind, sites: isOfSites ? stored : undefined, warnings };
}

/** Layers and heads are those of the sites that have rows; where those differ, there is no number that fits. */
function checkSitesFields(
  config: Json,
  base: BaseModel,
  stored: readonly string[],
  rowsOf: ReadonlyMap<string, number | undefined>,
): void {
  const sites = stored.map((name) => siteNamed(base, name));
  checkField(config, 'num_transformer_submodules', 2, 'num_transformer_submodules_unsupported');
  for (const { layers } of sites) checkField(config, 'num_layers', layers, 'num_layers_mismatch');
  for (const { kvHeads } of sites) checkField(config, 'num_attention_heads', kvHeads, 'num_attention_heads_mismatch');
  checkField(config, 'token_dim', base.width, 'token_dim_mismatch');
  for (const name of stored) {
    const rows = rowsOf.get(siteTensor(name));
    if (rows !== undefined) checkField(config, 'num_virtual_tokens', rows, 'num_virtual_tokens_mismatch');
  }
}

/** PEFT takes layers and heads from the encoder, for the decoder too. */
function checkPeftFields(config: Json, base: BaseModel, kind: AdapterKind, rows: number | undefined): void {
  const [encoder, decoder] = [siteNamed(base, ENCODER), siteNamed(base, DECODER)];
  checkField(config, 'num_transformer_submodules', 2, 'num_transformer_submodules_unsupported');
  checkField(config, 'num_layers', encoder.layers, 'num_layers_mismatch');
  checkField(config, 'num_attention_heads', encoder.kvHeads, 'num_attention_heads_mismatch');
  if (kind === 'prefix') {
    refusePeftPrefix('num_layers', 'layers', encoder.layers, decoder.layers, decoder.layers > encoder.layers);
    const areOtherHeads = decoder.kvHeads !== encoder.kvHeads;
    refusePeftPrefix('num_attention_heads', 'heads', encoder.kvHeads, decoder.kvHeads, areOtherHeads);
  }
  checkField(config, 'token_dim', base.width, 'token_dim_mismatch');
  // Without whole rows to compare with, the tensor is refused next.
  const length = rows === undefined || kind === 'prefix' ? rows : rows / 2;
  if (length !== undefined && Number.isInteger(length)) {
    checkField(config, 'num_virtual_tokens', length, 'num_virtual_tokens_mismatch');
  }
}

function refusePeftPrefix(
  name: 'num_layers' | 'num_attention_heads',
  what: string,
  encoder: number,
  decoder: number,
  isRefused: boolean,
): void {
  if (!isRefused) return;
  const model = `the encoder has ${encoder} ${what}, the decoder ${decoder}`;
  throw new PrefixError(
    `${name}_unsupported`,
    `adapter_config.${name}: PEFT's own prefix has the encoder's ${what}, and PEFT cannot give it to this decoder: ${model}`,
  );
}

/** Checks that `sites` names exactly the sites that the tensors are of. */
function checkSites(config: Json, base: BaseModel, kind: AdapterKind, stored: readonly string[]): void {
  const sites = field(config, 'sites');
  if (kind !== 'prefix') {
    throw new PrefixError(
      'sites_unsupported',
      `adapter_config.sites: of an adapter whose peft_type is PREFIX_TUNING only; a soft prompt has one tensor, ${PREFIX_TENSOR}`,
    );
  }
  const known = base.sites.map(({ name }) => name);
  const isList = Array.isArray(sites) && sites.length > 0 && new Set(sites).size === sites.length;
  if (!isList || sites.some((site) => !known.includes(site as string))) {
    throw new PrefixError(
      'sites_invalid',
      `adapter_config.sites: ${shown(sites)}; must be a list of ${[ENCODER, DECODER, CROSS].join(', ')}, or some of them, each once`,
    );
  }
  if (sites.length !== stored.length || !stored.every((site) => sites.includes(site))) {
    throw new PrefixError(
      'sites_mismatch',
      `adapter_config.sites: ${sites.join(', ')}; adapter_model has ${stored.length === 0 ? 'no site' : stored.join(', ')}`,
    );
  }
}
