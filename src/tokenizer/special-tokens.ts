import * as library from '@huggingface/tokenizers';

import { refuseField } from './tokenizer-error.js';

interface PostProcessor {
  post_process(tokens: string[]): { readonly tokens: readonly string[] };
}

const { SequencePostProcessor } = library as unknown as {
  readonly SequencePostProcessor: new (config: object) => PostProcessor;
};

/** Token ids that a tokenizer puts before and behind a text. */
export interface SurroundingIds {
  readonly before: readonly number[];
  readonly behind: readonly number[];
}

/** What `post_processor` of `tokenizer.json` puts around a text. Throws `TokenizerError` for a token that is not in the vocabulary. */
export function surroundingIds(
  json: object | null | undefined,
  idOf: (token: string) => number | undefined,
): SurroundingIds {
  const text = ''; // no token is empty
  const tokens = createPostProcessor(json).post_process([text]).tokens;
  const at = tokens.indexOf(text);
  const toId = (token: string): number =>
    idOf(token) ?? refuseField('post_processor', `adds ${JSON.stringify(token)}, which is no token`);
  return { before: tokens.slice(0, at).map(toId), behind: tokens.slice(at + 1).map(toId) };
}

function createPostProcessor(json: object | null | undefined): PostProcessor {
  try {
    return new SequencePostProcessor({ processors: json ? [json] : [] });
  } catch (error) {
    return refuseField('post_processor', `is not supported: ${(error as Error).message}`);
  }
}
