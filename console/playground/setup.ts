import { PARAMETERS, type Parameters } from './parameters.js';

/** Most columns of a run. */
export const MAX_COLUMNS = 6;

/** Everything that makes a run, as it stands in the address: whoever opens the link can run the same. */
export interface Setup {
  /** What each column asks: the base model, a prefix, or any other value of `model`. */
  readonly models: readonly string[];
  /** The prompt, or the source of an encoder-decoder. Of a conversation, what the user says next. */
  readonly prompt: string;
  /** What the user of a conversation has said before. */
  readonly said: readonly string[];
  /** The system message of a conversation; empty: none. */
  readonly system: string;
  /** Where an answer ends, beside its end token; empty: nowhere else. */
  readonly stop: string;
  readonly parameters: Parameters;
}

/** Prefixes that come with the demo model, and the prompt that shows best how they differ. */
const SHOWCASE = {
  models: ['headlines', 'formal-replies', 'french-flavour', 'casual-chat'],
  prompt: 'About apple cake\n',
} as const;

/** Columns of a first visit where the showcase's prefixes are not there. */
const FIRST_COLUMNS = 4;

/**
 * The run that a first visit begins with.
 * @param models ids of all models, the base model first
 */
export function firstSetup(models: readonly string[]): Setup {
  const common = { said: [], system: '', stop: '', parameters: { max_tokens: 80, temperature: 0 } };
  const isShowcase = SHOWCASE.models.every((name) => models.includes(name));
  if (isShowcase) return { ...common, ...SHOWCASE };
  const [base = '', ...prefixes] = models;
  return { ...common, models: [...prefixes.slice(0, FIRST_COLUMNS - 1), base], prompt: '' };
}

/** Writes a setup for the address. */
export function toQuery({ models, prompt, said, system, stop, parameters }: Setup): URLSearchParams {
  const query = new URLSearchParams();
  for (const model of models) query.append('model', model);
  for (const text of said) query.append('said', text);
  if (system !== '') query.set('system', system);
  query.set('prompt', prompt);
  if (stop !== '') query.set('stop', stop);
  for (const { name } of PARAMETERS) {
    const value = parameters[name];
    if (value !== undefined) query.set(name, String(value));
  }
  return query;
}

/** Reads a setup from the address; undefined where it has none. Whatever else is in it has no effect. */
export function fromQuery(query: URLSearchParams): Setup | undefined {
  const models = query.getAll('model').slice(0, MAX_COLUMNS);
  if (models.length === 0) return undefined;
  const given = PARAMETERS.flatMap(({ name }) => {
    const text = query.get(name)?.trim() ?? '';
    return text !== '' && Number.isFinite(Number(text)) ? [[name, Number(text)] as const] : [];
  });
  return {
    models,
    prompt: query.get('prompt') ?? '',
    said: query.getAll('said'),
    system: query.get('system') ?? '',
    stop: query.get('stop') ?? '',
    parameters: Object.fromEntries(given),
  };
}
