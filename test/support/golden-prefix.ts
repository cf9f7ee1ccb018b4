import path from 'node:path';

import type { Model } from '../../src/model/model.js';
import { type PrefixKv, selfKv } from '../../src/prefix/kv.js';
import { type FloatTensor, type Golden, type GreedyCase, readTensors } from './goldens.js';

/** Keys and values of a case's adapter, as the server would have them; a soft prompt goes through the model. */
export async function prefixOf(
  { base, encoder }: Model,
  reference: Pick<Golden, 'adapter'>,
  { adapter }: GreedyCase,
): Promise<PrefixKv | undefined> {
  if (adapter === null) return undefined;
  const tensors = readTensors(path.join(reference.adapter(adapter), 'adapter_model.safetensors'));
  const { shape, data } = tensors['prompt_embeddings'] as FloatTensor;
  const length = shape[0] as number;
  return shape[1] === base.width ? encoder.encodeEmbeddings(data, length) : selfKv(length, data);
}
