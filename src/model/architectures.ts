import type { Architecture, Json } from './architecture.js';
import { bart } from './bart/architecture.js';
import { CheckpointError } from './checkpoint-error.js';
import { gpt2 } from './gpt2/architecture.js';

/** Every architecture that can be served, by name. */
const ARCHITECTURES: ReadonlyMap<unknown, Architecture> = new Map(
  [gpt2, bart].map((known): [string, Architecture] => [known.name, known as Architecture]),
);

/** Ends a message: which families there are. */
const FAMILIES = `the families that can be served are ${[...ARCHITECTURES.values()]
  .map(({ name, title }) => `${name} (${title})`)
  .join(' and ')}`;

/**
 * The architecture of a checkpoint. One whose `config.json` names none is a GPT-2 of before Transformers wrote `model_type`, unless it names
 * another class. Throws `CheckpointError` for an unknown one.
 */
export function architectureOf(config: Json): Architecture {
  const type = config['model_type'] ?? null;
  if (type !== null) return architectureNamed(type, 'config.json: model_type');
  const classes = config['architectures'];
  const name: unknown = Array.isArray(classes) ? classes[0] : undefined;
  if (typeof name !== 'string' || name.startsWith('GPT2')) return architectureNamed(gpt2.name);
  throw new CheckpointError(
    `config.json: model_type is missing, and architectures is ${JSON.stringify(name)}: ${FAMILIES}`,
  );
}

/**
 * The architecture of that name. Throws `CheckpointError` that lists the known ones.
 * @param where the field that has the name: a compiled model's unless given
 */
export function architectureNamed(name: unknown, where = 'model.json: architecture'): Architecture {
  const known = ARCHITECTURES.get(name);
  if (known !== undefined) return known;
  throw new CheckpointError(`${where} is ${JSON.stringify(name)}: ${FAMILIES}`);
}
