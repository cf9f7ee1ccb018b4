import type { ModelShape } from '../kv.js';

/** `prefix`: before the prompt. `infix`: before the prompt's last token. */
export type Placement = 'prefix' | 'infix';

/** Meaning of an adapter's rows: keys and values, or input embeddings that are still to be encoded. */
export type AdapterKind = 'prefix' | 'soft_prompt';

/** The two files that PEFT writes. */
export const CONFIG_FILE = 'adapter_config.json';
export const MODEL_FILE = 'adapter_model.safetensors';
/** A file that Transformers writes beside them: how conversations become prompts for this adapter. */
export const TEMPLATE_FILE = 'chat_template.jinja';
export type AdapterFileName = typeof CONFIG_FILE | typeof MODEL_FILE | typeof TEMPLATE_FILE;

/** Most bytes of `chat_template.jinja`: several times what any known model has. */
export const MAX_TEMPLATE_BYTES = 65_536;

/** The files' bytes, as they came. */
export interface AdapterFiles {
  /** `adapter_config.json`. */
  readonly config: Uint8Array;
  /** `adapter_model.safetensors`. */
  readonly model: Uint8Array;
  /** `chat_template.jinja`; undefined: conversations are rendered with the model's template. */
  readonly template?: Uint8Array | undefined;
}

/** The one tensor of an adapter of a decoder-only model, as PEFT names it. */
export const PREFIX_TENSOR = 'prompt_embeddings';

/** The tensor of an encoder-decoder's adapter that holds the rows of a site. */
export function siteTensor(site: string): string {
  return `${site}.${PREFIX_TENSOR}`;
}

/** The tensor of input embeddings that stand before a source's. Only stores have it, in the file that is decoded for serving. */
export const SOURCE_TENSOR = siteTensor('source');

/** Virtual tokens at each site where there are any, by the site's name. */
export type SiteLengths = Readonly<Record<string, number>>;

/** Most virtual tokens of one prefix, unless configured: half of the context is left to the prompt and its answer. */
export function defaultMaxLength({ contextLength }: Pick<ModelShape, 'contextLength'>): number {
  return Math.floor(contextLength / 2);
}
