import { readManifest } from '../../model/compile/compiled-model.js';
import type { Architecture } from '../../model/architecture.js';
import { architectureNamed } from '../../model/architectures.js';
import { readKind } from '../../model/compile/model-checkpoint.js';
import type { ModelShape } from '../../prefix/kv.js';
import { loadTokenizer } from '../../tokenizer/load-tokenizer.js';
import type { ModelTokenizer } from '../../tokenizer/token-encoder.js';

/**
 * Opens the tokenizer of a checkpoint, or of a compiled model. It is quick, so that a wrong tokenizer is refused before a checkpoint is compiled.
 * @throws TokenizerError, and CheckpointError for a configuration that cannot be served
 */
export async function openTokenizer(source: string): Promise<ModelTokenizer> {
  const { architecture, shape } = await kindOf(source);
  const { sourceLength, vocabularySize } = shape;
  const { specialTokensInPrompts = false } = architecture;
  return loadTokenizer(source, { hasEncoder: sourceLength !== undefined, vocabularySize, specialTokensInPrompts });
}

async function kindOf(source: string): Promise<{ architecture: Architecture; shape: ModelShape }> {
  const manifest = await readManifest(source);
  if (manifest === undefined) return readKind(source);
  return { architecture: architectureNamed(manifest.architecture), shape: manifest.shape };
}
