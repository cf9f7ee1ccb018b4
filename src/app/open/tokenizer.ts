import { readManifest } from '../../model/compile/compiled-model.js';
import { readShape } from '../../model/compile/model-checkpoint.js';
import type { ModelShape } from '../../prefix/kv.js';
import { loadTokenizer } from '../../tokenizer/load-tokenizer.js';
import type { ModelTokenizer } from '../../tokenizer/token-encoder.js';

/**
 * Opens the tokenizer of a checkpoint, or of a compiled model. It is quick, so that a wrong tokenizer is refused before a checkpoint is compiled.
 * @throws TokenizerError, and CheckpointError for a configuration that cannot be served
 */
export async function openTokenizer(source: string): Promise<ModelTokenizer> {
  const { sourceLength, vocabularySize } = await shapeOf(source);
  return loadTokenizer(source, { hasEncoder: sourceLength !== undefined, vocabularySize });
}

async function shapeOf(source: string): Promise<ModelShape> {
  return (await readManifest(source))?.shape ?? readShape(source);
}
