import { type Architecture, HEAD_WEIGHT } from '../architecture.js';
import { CheckpointError } from '../checkpoint-error.js';
import { haveEqualValues, type SourceTensor } from './source-tensor.js';

/**
 * Finds out, as Transformers 5 does, what a checkpoint that holds the token embeddings under several names means, and takes the copies out
 * of `tensors`. A copy alone is the embeddings. A head that differs from them, whatever `config.json` says, is a head of its own.
 * @returns the configuration, with a head of its own where there is one
 * @throws CheckpointError for another copy that differs
 */
export async function resolveTies(
  architecture: Architecture,
  config: unknown,
  tensors: Map<string, SourceTensor>,
  warn: (warning: string) => void,
): Promise<unknown> {
  const { tokenEmbeddings } = architecture;
  const untied = new Set(architecture.weights(config).map(({ name }) => name));
  const copies = architecture.embeddingCopies.filter((name) => !untied.has(name));
  let resolved = config;
  for (const name of copies) {
    const copy = tensors.get(name);
    if (copy === undefined) continue;
    tensors.delete(name);
    const embeddings = tensors.get(tokenEmbeddings);
    if (embeddings === undefined) tensors.set(tokenEmbeddings, copy);
    if (embeddings === undefined || (await haveEqualValues(embeddings, copy))) continue;
    if (name !== HEAD_WEIGHT) {
      throw new CheckpointError(
        `weight ${name} differs from ${tokenEmbeddings}: embeddings of its own are not supported`,
      );
    }
    tensors.set(name, copy);
    resolved = architecture.withOwnHead(config);
    warn(
      `${name} differs from ${tokenEmbeddings} although config.json ties them (tie_word_embeddings): it is served, as in Transformers 5; ` +
        `Transformers 4 takes ${tokenEmbeddings} instead`,
    );
  }
  return resolved;
}
