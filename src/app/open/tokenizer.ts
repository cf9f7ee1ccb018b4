import { readManifest } from '../../model/compile/compiled-model.js';
import { architectureNamed } from '../../model/architectures.js';
import { type ModelKind, readKind } from '../../model/compile/model-checkpoint.js';
import { type ChatTemplate, loadChatTemplate, loadSpecialTokens } from '../../tokenizer/chat-template.js';
import { loadTokenizer } from '../../tokenizer/load-tokenizer.js';
import type { ModelTokenizer } from '../../tokenizer/token-encoder.js';

/** What a model's directory says of texts. */
export interface OpenTokenizer {
  readonly tokenizer: ModelTokenizer;
  /** Undefined where the model has none. */
  readonly chatTemplate: ChatTemplate | undefined;
  /** What templates may use, by the names that they have there, such as `bos_token`. */
  readonly specialTokens: Readonly<Record<string, string>>;
}

/**
 * Opens the tokenizer of a checkpoint, or of a compiled model, and its chat template. It is quick, so that wrong files are refused before a
 * checkpoint is compiled.
 * @throws TokenizerError, and CheckpointError for a configuration that cannot be served
 */
export async function openTokenizer(source: string): Promise<OpenTokenizer> {
  const { architecture, config, shape } = await kindOf(source);
  const { sourceLength, vocabularySize } = shape;
  const { specialTokensInPrompts = false } = architecture;
  const modelType = architecture.modelType?.(config);
  const kind = { hasEncoder: sourceLength !== undefined, modelType, vocabularySize, specialTokensInPrompts };
  return {
    tokenizer: await loadTokenizer(source, kind),
    chatTemplate: await loadChatTemplate(source),
    specialTokens: await loadSpecialTokens(source),
  };
}

/** The kind of a checkpoint's or a compiled model's directory. Throws `CheckpointError` for one that cannot be served. */
export async function kindOf(source: string): Promise<ModelKind> {
  const manifest = await readManifest(source);
  if (manifest === undefined) return readKind(source);
  return { architecture: architectureNamed(manifest.architecture), config: manifest.config, shape: manifest.shape };
}
