import type { Architecture, Json } from './architecture.js';
import { bart } from './bart/architecture.js';
import { CheckpointError } from './checkpoint-error.js';
import { gpt2 } from './gpt2/architecture.js';

/** Every architecture that can be served, by name. */
const ARCHITECTURES: ReadonlyMap<unknown, Architecture> = new Map(
  [gpt2, bart].map((known): [string, Architecture] => [known.name, known as Architecture]),
);

/** The architecture of a checkpoint; one whose `config.json` names none is a GPT-2. Throws `CheckpointError` for an unknown one. */
export function architectureOf(config: Json): Architecture {
  return architectureNamed(config['model_type'] ?? gpt2.name, 'config.json: model_type');
}

/**
 * The architecture of that name. Throws `CheckpointError` that lists the known ones.
 * @param where the field that has the name: a compiled model's unless given
 */
export function architectureNamed(name: unknown, where = 'model.json: architecture'): Architecture {
  const known = ARCHITECTURES.get(name);
  if (known !== undefined) return known;
  const names = [...ARCHITECTURES.keys()].join(', ');
  throw new CheckpointError(`${where} is ${JSON.stringify(name)}: supported are ${names}`);
}
