import type { AddedToken } from './added-tokens.js';
import { refuseField } from './tokenizer-error.js';

// The tokenizers of GPT-2 and BART before `tokenizer.json`: read here as Transformers 4 reads them.

/** The contents of the files; undefined for one that is not there. */
export interface Gpt2Files {
  readonly vocab: object;
  readonly merges: string;
  readonly config: object | undefined;
  readonly addedTokens: object | undefined;
  readonly specialTokensMap: object | undefined;
}

/** Kinds of tokenizer with these files. They differ in their special tokens. */
type Gpt2Kind = 'gpt2' | 'bart';

const KIND_OF_CLASS: Readonly<Record<string, Gpt2Kind>> = { GPT2: 'gpt2', Bart: 'bart', Roberta: 'bart' };
const end = '<|endoftext|>';
const DEFAULTS: Readonly<Record<Gpt2Kind, Readonly<Record<string, NamedToken>>>> = {
  gpt2: { bos_token: end, eos_token: end, unk_token: end },
  bart: {
    ...{
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
      sep_token: '</s>',
      pad_token: '<pad>',
      cls_token: '<s>',
    },
    mask_token: '<mask>',
  },
};
/** In the order in which tokens that are not in the vocabulary get their ids. */
const NAMES = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const;

type Flags = Omit<AddedToken, 'id'>;
type NamedToken = string | Flags | null | undefined;

/** The part of `tokenizer_config.json` that is read; `special_tokens_map.json` has the tokens too. */
interface Config extends Readonly<Partial<Record<(typeof NAMES)[number], NamedToken>>> {
  readonly tokenizer_class?: string;
  readonly add_prefix_space?: boolean;
  readonly added_tokens_decoder?: Readonly<Record<string, Flags>>;
  readonly additional_special_tokens?: readonly NamedToken[] | null;
  readonly extra_special_tokens?: readonly NamedToken[] | Readonly<Record<string, NamedToken>> | null;
}

/**
 * What `tokenizer.json` would be for these files.
 * @param kind unless `tokenizer_config.json` names a class
 * @throws TokenizerError naming the file and field at fault
 */
export function toTokenizerJson(files: Gpt2Files, kind: Gpt2Kind): object {
  const config: Config = files.config ?? {};
  const own = kindOf(config, kind);
  const vocab = files.vocab as Readonly<Record<string, number>>;
  const special = specialTokens(config, files, own);
  const added = toAddedTokens(vocab, [...decodedTokens(config), ...listedTokens(files, special)], special.all);
  const idOf = ({ content }: Flags): number => added.find((token) => token.content === content)?.id ?? 0;
  const around = own === 'bart' && { sep: of(special.named['sep_token']), cls: of(special.named['cls_token']) };
  function of(token: Flags | undefined): [string, number] {
    return token
      ? [token.content, idOf(token)]
      : refuseField('tokenizer_config.json', 'has no sep_token or no cls_token');
  }
  return {
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: config.add_prefix_space ?? false, use_regex: true },
    post_processor: around ? { type: 'RobertaProcessing', ...around } : null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab, merges: toMerges(files.merges) },
  };
}

function kindOf({ tokenizer_class: name }: Config, kind: Gpt2Kind): Gpt2Kind {
  if (name === undefined) return kind;
  const own = KIND_OF_CLASS[name.replace(/Tokenizer(Fast)?$/, '')];
  return own ?? refuseField('tokenizer_config.json: tokenizer_class', `${name} is not known without a tokenizer.json`);
}

/** Without the first line, which has the version, and the empty last one. */
function toMerges(text: string): [string, string][] {
  const lines = text.replaceAll('\r\n', '\n').split('\n').slice(1, -1);
  return lines.map((line, i) => {
    const [first, second, ...others] = line.split(' ');
    if (first && second && others.length === 0) return [first, second];
    return refuseField(`merges.txt: line ${i + 2}`, 'is not two tokens with a space between');
  });
}

interface SpecialTokens {
  readonly named: Readonly<Record<string, Flags | undefined>>;
  readonly all: readonly Flags[];
}

/** Where there is an `added_tokens_decoder`, `special_tokens_map.json` says nothing more. */
function specialTokens(config: Config, { specialTokensMap }: Gpt2Files, kind: Gpt2Kind): SpecialTokens {
  const map: Config = (config.added_tokens_decoder === undefined && specialTokensMap) || {};
  const told: Config = { ...config, ...map };
  const named = Object.fromEntries(
    NAMES.map((name) => {
      const token = told[name] === undefined ? DEFAULTS[kind][name] : told[name];
      return [name, toFlags(token, { lstrip: kind === 'bart' && name === 'mask_token' })];
    }),
  );
  const more = [
    ...(told.additional_special_tokens ?? []),
    ...Object.values(told.extra_special_tokens ?? {}),
  ] as NamedToken[];
  const all = [...Object.values(named), ...more.map((token) => toFlags(token, {}))];
  return { named, all: all.filter((token) => token !== undefined) };
}

function toFlags(token: NamedToken, flags: Partial<Flags>): Flags | undefined {
  if (typeof token !== 'string') return token ? { ...token, special: true } : undefined;
  return { content: token, ...flags, normalized: true, special: true };
}

/** A token whose id is said. */
interface Told {
  readonly id: number;
  readonly flags: Flags;
}

function decodedTokens({ added_tokens_decoder: decoder = {} }: Config): Told[] {
  return Object.entries(decoder).map(([id, flags]) => ({ id: Number(id), flags }));
}

/** Those of `added_tokens.json`, which are special if they are named as such. */
function listedTokens({ config, addedTokens = {} }: Gpt2Files, { all }: SpecialTokens): Told[] {
  if ((config as Config | undefined)?.added_tokens_decoder !== undefined) return [];
  const listed = Object.entries(addedTokens as Readonly<Record<string, number>>).sort(([, a], [, b]) => a - b);
  return listed.map(([content, id]) => {
    const special = all.find((token) => token.content === content);
    return { id, flags: special ?? { content, normalized: true, special: false } };
  });
}

/** Added tokens with the ids that are said, else the vocabulary's, else the next ones. */
function toAddedTokens(
  vocab: Readonly<Record<string, number>>,
  told: readonly Told[],
  special: readonly Flags[],
): AddedToken[] {
  const ids = new Map(Object.entries(vocab));
  const tokens = new Map<string, AddedToken>();
  for (const { id, flags } of told) tokens.set(flags.content, { ...flags, id: ids.get(flags.content) ?? id });
  const known = new Set([...ids.keys(), ...tokens.keys()]);
  for (const token of special) {
    if (tokens.has(token.content)) continue;
    tokens.set(token.content, { ...token, id: ids.get(token.content) ?? known.size });
    known.add(token.content);
  }
  return [...tokens.values()];
}
