/** Of these files, the one that changes no token of a text: it is no part of a model's fingerprint. */
export const CHAT_TEMPLATE_FILE = 'chat_template.jinja';

const WHOLE = ['tokenizer.json', 'tokenizer_config.json', CHAT_TEMPLATE_FILE] as const;
const PARTS = [
  'vocab.json',
  'merges.txt',
  'tokenizer_config.json',
  'added_tokens.json',
  'special_tokens_map.json',
  CHAT_TEMPLATE_FILE,
] as const;

/**
 * Names of the files of a model's tokenizer, which are part of the model: `tokenizer.json`, or those that stand for it where it is not there.
 * None where the model has no tokenizer.
 * @param present names in the model's directory
 */
export function tokenizerFiles(present: ReadonlySet<string>): string[] {
  if (present.has('tokenizer.json')) return WHOLE.filter((name) => present.has(name));
  return present.has('vocab.json') && present.has('merges.txt') ? PARTS.filter((name) => present.has(name)) : [];
}
