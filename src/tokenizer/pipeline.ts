import { createNormalizer, type Normalize, type NormalizerJson } from './normalizer.js';
import { createPreTokenizer, type PreTokenizer, type PreTokenizerJson } from './pre-tokenizer.js';

/** What a text goes through before the model. */
export interface Pipeline {
  readonly normalize: Normalize;
  readonly preTokenizer: PreTokenizer;
}

interface PipelineJson {
  readonly normalizer?: NormalizerJson | null | undefined;
  readonly pre_tokenizer?: PreTokenizerJson | null | undefined;
}

/** Builds the normalizer and the pre-tokenizer. Throws `TokenizerError` for one that is not known here. */
export function createPipeline({ normalizer, pre_tokenizer: cutter }: PipelineJson, isByteLevel: boolean): Pipeline {
  const normalize = createNormalizer(normalizer) ?? ((text: string): string => text);
  return { normalize, preTokenizer: createPreTokenizer(cutter, isByteLevel) };
}

/** The same parts, but for what puts something before a text. */
export function withoutPrefix({ normalizer, pre_tokenizer: cutter }: PipelineJson): PipelineJson {
  return { normalizer: normalizer && withoutPrepend(normalizer), pre_tokenizer: cutter && withNever(cutter) };
}

function withoutPrepend(json: NormalizerJson): NormalizerJson {
  if (json.type === 'Prepend') return { type: 'Sequence', normalizers: [] };
  return json.normalizers ? { ...json, normalizers: json.normalizers.map(withoutPrepend) } : json;
}

function withNever(json: PreTokenizerJson): PreTokenizerJson {
  if (json.type === 'Metaspace') return { ...json, prepend_scheme: 'never' };
  return json.pretokenizers ? { ...json, pretokenizers: json.pretokenizers.map(withNever) } : json;
}
