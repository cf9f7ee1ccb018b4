import type { Architecture, Json } from './architecture.js';
import { bart } from './bart/architecture.js';
import { CheckpointError } from './checkpoint-error.js';
import { gpt2 } from './gpt2/architecture.js';
import { llama } from './llama/architecture.js';

/** Every architecture that can be served. */
const ALL = [gpt2, bart, llama] as readonly Architecture[];

const modelTypes = ({ name, modelTypes = [name] }: Architecture): readonly string[] => modelTypes;
const BY_NAME: ReadonlyMap<unknown, Architecture> = new Map(ALL.map((known) => [known.name, known]));
const BY_TYPE: ReadonlyMap<unknown, Architecture> = new Map(
  ALL.flatMap((known) => modelTypes(known).map((type): [string, Architecture] => [type, known])),
);

/** Ends a message: which families there are. */
const FAMILIES = `the families that can be served are ${ALL.map(
  (known) => `${modelTypes(known).join(', ')} (${known.title})`,
).join(', ')}`;

/**
 * The architecture of a checkpoint. One whose `config.json` names none is a GPT-2 of before Transformers wrote `model_type`, unless it names
 * another class. Throws `CheckpointError` for an unknown one.
 */
export function architectureOf(config: Json): Architecture {
  const type = config['model_type'] ?? null;
  if (type !== null) return BY_TYPE.get(type) ?? refuse(type, 'config.json: model_type');
  const classes = config['architectures'];
  const name: unknown = Array.isArray(classes) ? classes[0] : undefined;
  if (typeof name !== 'string' || name.startsWith('GPT2')) return gpt2;
  throw new CheckpointError(
    `config.json: model_type is missing, and architectures is ${JSON.stringify(name)}: ${FAMILIES}`,
  );
}

/** The architecture that a compiled model's manifest names. Throws `CheckpointError` that lists the known ones. */
export function architectureNamed(name: unknown): Architecture {
  return BY_NAME.get(name) ?? refuse(name, 'model.json: architecture');
}

function refuse(name: unknown, where: string): never {
  throw new CheckpointError(`${where} is ${JSON.stringify(name)}: ${FAMILIES}`);
}
