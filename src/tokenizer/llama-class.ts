import type { AddedToken } from './added-tokens.js';
import { type Decoder, decoderSteps } from './decoder.js';

type Flags = Omit<AddedToken, 'id'>;
type NamedToken = string | Flags | null | undefined;

/** The part of `tokenizer_config.json` that is read. */
interface Config {
  readonly tokenizer_class?: unknown;
  readonly legacy?: unknown;
  readonly add_prefix_space?: unknown;
  readonly added_tokens_decoder?: Readonly<Record<string, Flags>>;
  readonly additional_special_tokens?: unknown;
  readonly extra_special_tokens?: unknown;
  readonly [name: string]: unknown;
}

const SPACE = '\u2581';
const NAMES = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'].map((name) => `${name}_token`);
const DEFAULTS: Readonly<Record<string, string>> = { unk_token: '<unk>', bos_token: '<s>', eos_token: '</s>' };

/**
 * What Transformers 5 makes of a `tokenizer.json` whose class is `LlamaTokenizer`: it takes vocabulary, merges and post-processor, builds
 * the other parts anew, and has those added tokens that `tokenizer_config.json` lists. Files of other classes, byte-level ones and those of
 * a Mistral it takes as they are, and so are they returned.
 * @param json the content of `tokenizer.json`, unchecked
 * @param config that of `tokenizer_config.json`; empty where there is none
 * @param modelType `model_type` of the model
 */
export function asLoaded(json: object, config: object, modelType: string | undefined): object {
  const { tokenizer_class: name, legacy, add_prefix_space: addsSpace } = config as Config;
  if (name !== 'LlamaTokenizer' && name !== 'LlamaTokenizerFast') return json;
  const { model, decoder, added_tokens: added } = json as { model?: object; decoder?: Decoder; added_tokens?: unknown };
  const steps = decoder ? decoderSteps(decoder) : [];
  if (modelType === 'mistral' || !model || steps.some(({ type }) => type === 'ByteLevel')) return json;
  const isPrefixed = addsSpace !== false;
  const scheme = legacy === true ? 'always' : 'first';
  return {
    ...json,
    added_tokens: addedTokens(added, config as Config),
    normalizer: null,
    pre_tokenizer: {
      ...{ type: 'Metaspace', replacement: SPACE, split: false },
      prepend_scheme: isPrefixed ? scheme : 'never',
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
        ...[{ type: 'ByteFallback' }, { type: 'Fuse' }],
        ...(isPrefixed ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: { ...model, byte_fallback: true, fuse_unk: true, ignore_merges: false, unk_token: null },
  };
}

/** Those of the configuration, else those of the file, and all that the configuration names; ids are given by who reads them. */
function addedTokens(ofFile: unknown, config: Config): unknown {
  const decoder = config.added_tokens_decoder;
  const listed = decoder ? Object.entries(decoder).map(([id, flags]) => ({ ...flags, id: Number(id) })) : ofFile;
  if (!Array.isArray(listed)) return listed;
  const named = NAMES.map((name) => (config[name] === undefined ? DEFAULTS[name] : config[name]) as NamedToken);
  const more = [config.additional_special_tokens, config.extra_special_tokens].flatMap((tokens) =>
    Object.values((tokens ?? {}) as Readonly<Record<string, NamedToken>>),
  );
  const known = new Set((listed as readonly AddedToken[]).map(({ content }) => content));
  const special = [...named, ...more].flatMap((token) => {
    const flags = typeof token === 'string' ? { content: token, normalized: false } : token;
    return flags && !known.has(flags.content) ? [{ ...flags, special: true, id: 0 }] : [];
  });
  return [...(listed as readonly AddedToken[]), ...special];
}
