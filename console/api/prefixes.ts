import { call, send } from './client.js';
import { saveAnswer } from './save.js';
import type { Prefix, PrefixDetails, PrefixList } from './types.js';

/** Files of an adapter, as PEFT names them. */
export const ADAPTER_FILES = ['adapter_config.json', 'adapter_model.safetensors'] as const;
/** File of a prefix's own chat template. */
export const TEMPLATE_FILE = 'chat_template.jinja';
export type AdapterFile = (typeof ADAPTER_FILES)[number] | typeof TEMPLATE_FILE;

/** All prefixes of the caller, by name. */
export async function listPrefixes(): Promise<Prefix[]> {
  const all: Prefix[] = [];
  let after = '';
  for (;;) {
    const page = await call<PrefixList>(`prefixes?limit=100${after}`);
    all.push(...page.data);
    if (!page.has_more || page.last_id === null) return all;
    after = `&after=${encodeURIComponent(page.last_id)}`;
  }
}

/** A prefix and its versions. */
export function retrievePrefix(name: string): Promise<PrefixDetails> {
  return call(`prefixes/${encodeURIComponent(name)}`);
}

/** An adapter that is to be stored. */
export interface AdapterUpload {
  readonly name: string;
  readonly placement: 'prefix' | 'infix';
  readonly config: File;
  readonly model: File;
  /** The prefix's own chat template; undefined: it has none. */
  readonly template?: File | undefined;
}

/** Stores an adapter. The answer has warnings where PEFT would use the files otherwise. */
export function uploadAdapter({ name, placement, config, model, template }: AdapterUpload): Promise<Prefix> {
  const form = new FormData();
  form.append('name', name);
  form.append('placement', placement);
  form.append('adapter_config', config, 'adapter_config.json');
  form.append('adapter_model', model, 'adapter_model.safetensors');
  if (template) form.append('chat_template', template, TEMPLATE_FILE);
  return call('prefixes', { form });
}

/** Stores a text as a prefix. */
export function uploadText(name: string, text: string): Promise<Prefix> {
  return call('prefixes', { json: { name, text } });
}

/** Deletes a prefix with all its versions. */
export async function deletePrefix(name: string): Promise<void> {
  await call(`prefixes/${encodeURIComponent(name)}`, { method: 'DELETE' });
}

/** Lets the browser save a file of a version. */
export async function saveAdapterFile(reference: string, file: AdapterFile): Promise<void> {
  await saveAnswer(await send(`prefixes/${encodeURIComponent(reference)}/files/${file}`), file);
}
