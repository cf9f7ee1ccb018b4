import type { VNode } from 'preact';

import { Field } from '../ui/field.js';
import { NumberInput } from '../ui/number-input.js';
import { INIT_ADVICE, LENGTH_ADVICE, type Method, METHODS, PAPER_PRESET, quickPreset } from './methods.js';

/** What the form of a job has. */
export interface Settings {
  /** The prefix's name; empty: the job's id. */
  readonly name: string;
  readonly method: Method;
  /** Virtual tokens. */
  readonly length: number;
  /** `random`, or words. */
  readonly init: string;
  /** Hidden width; 0: none. */
  readonly mlp: number;
  readonly learningRate: number;
  readonly epochs: number;
  readonly batchSize: number;
  /** Whether each tenth example is kept for validation. */
  readonly holdsOut: boolean;
  readonly tooLong: 'fail' | 'skip' | 'cut';
}

interface SettingsFieldsProps {
  readonly settings: Settings;
  readonly change: (changes: Partial<Settings>) => void;
  /** Examples in the file. */
  readonly examples: number;
  /** What was refused, by the API's field. */
  readonly problems: Readonly<Record<string, string>>;
  /** Whether the model has no encoder. */
  readonly isDecoder: boolean;
}

/** Settings that are numbers, with the API's field of each. */
const NUMBERS = [
  { key: 'epochs', field: 'n_epochs', label: 'Epochs', min: 1 },
  { key: 'batchSize', field: 'batch_size', label: 'Batch size', min: 1 },
  { key: 'learningRate', field: 'learning_rate', label: 'Learning rate', min: 0 },
  { key: 'mlp', field: 'mlp', label: 'MLP width, 0 for none', min: 0 },
] as const;

/** What an empty field stands for: the server takes it or refuses it in its own words. */
const EMPTY = 0;

const SHOWN = ['suffix', 'method', 'length', 'init', ...NUMBERS.map(({ field }) => field)];

/** Whether a field of the API has its problem shown beside it here. */
export function isShown(field: string): boolean {
  return SHOWN.includes(field);
}

/** What can be chosen for a job, each with the paper's advice. */
export function SettingsFields({ settings, change, examples, problems, isDecoder }: SettingsFieldsProps): VNode {
  return (
    <div class="settings">
      <Field label="Name of the prefix" hint="Empty: the job’s id." problem={problems['suffix']}>
        {(id, describedBy) => (
          <input
            id={id}
            aria-describedby={describedBy}
            spellcheck={false}
            placeholder="users/alice"
            value={settings.name}
            onInput={({ currentTarget }) => change({ name: currentTarget.value })}
          />
        )}
      </Field>
      {isDecoder && <MethodChoice settings={settings} change={change} problem={problems['method']} />}
      <div class="side-by-side">
        <Field label="Length" hint={LENGTH_ADVICE} problem={problems['length']}>
          {(id, describedBy) => (
            <NumberInput
              id={id}
              describedBy={describedBy}
              min={1}
              value={settings.length}
              whenEmpty={EMPTY}
              change={(length = EMPTY) => change({ length })}
            />
          )}
        </Field>
        <Field label="Start" hint={`${INIT_ADVICE} Words have a length of their own.`} problem={problems['init']}>
          {(id, describedBy) => (
            <input
              id={id}
              aria-describedby={describedBy}
              value={settings.init}
              onInput={({ currentTarget }) => change({ init: currentTarget.value })}
            />
          )}
        </Field>
      </div>
      <Presets settings={settings} change={change} examples={examples} />
      <div class="number-row">
        {NUMBERS.map(({ key, field, label, min }) => (
          <Field key={key} label={label} problem={problems[field]}>
            {(id, describedBy) => (
              <NumberInput
                id={id}
                describedBy={describedBy}
                step="any"
                min={min}
                value={settings[key]}
                whenEmpty={EMPTY}
                change={(value = EMPTY) => change({ [key]: value })}
              />
            )}
          </Field>
        ))}
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={settings.holdsOut}
          disabled={examples < 2}
          onChange={({ currentTarget }) => change({ holdsOut: currentTarget.checked })}
        />
        Keep each tenth example for validation: its curve shows when more training no longer helps
      </label>
      <Field label="Examples that do not fit">
        {(id) => (
          <select
            id={id}
            value={settings.tooLong}
            onChange={({ currentTarget }) => change({ tooLong: currentTarget.value as Settings['tooLong'] })}
          >
            <option value="fail">end the training before it begins</option>
            <option value="skip">are left out</option>
            <option value="cut">have their prompts cut</option>
          </select>
        )}
      </Field>
    </div>
  );
}

function MethodChoice({
  settings,
  change,
  problem,
}: Pick<SettingsFieldsProps, 'settings' | 'change'> & { problem: string | undefined }): VNode {
  return (
    <fieldset class="choices">
      <legend>Method</legend>
      {METHODS.map(({ method, label, advice }) => (
        <label key={method} class="choice">
          <input type="radio" name="method" checked={method === settings.method} onChange={() => change({ method })} />
          <span>
            <b>{label}</b> <span class="quiet">{advice}</span>
          </span>
        </label>
      ))}
      {problem !== undefined && (
        <p class="field-problem" role="alert">
          {problem}
        </p>
      )}
    </fieldset>
  );
}

/** Fills the numbers in. */
function Presets({ settings, change, examples }: Pick<SettingsFieldsProps, 'settings' | 'change' | 'examples'>): VNode {
  return (
    <fieldset class="choices">
      <legend>How it is trained</legend>
      {[quickPreset(examples), PAPER_PRESET].map(({ label, advice, ...numbers }) => (
        <label key={label} class="choice">
          <input
            type="radio"
            name="preset"
            checked={NUMBERS.every(({ key }) => settings[key] === numbers[key])}
            onChange={() => change(numbers)}
          />
          <span>
            <b>{label}</b> <span class="quiet">{advice}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
