import type { VNode } from 'preact';

import { Field } from '../ui/field.js';
import { NumberInput } from '../ui/number-input.js';
import { PARAMETERS, type Parameters } from './parameters.js';
import type { Setup } from './setup.js';

interface ParameterFieldsProps {
  readonly setup: Setup;
  readonly change: (changes: Partial<Setup>) => void;
  /** Whether there is a system message. */
  readonly isChat: boolean;
}

/** The parameters of a run, each with its meaning. An empty field leaves the parameter to the server. */
export function ParameterFields({ setup, change, isChat }: ParameterFieldsProps): VNode {
  const { parameters } = setup;
  const set = (name: keyof Parameters, value: number | undefined): void => {
    const { [name]: _, ...others } = parameters;
    change({ parameters: value === undefined ? others : { ...others, [name]: value } });
  };
  return (
    <details class="parameters">
      <summary>
        <span>Parameters</span> <span class="quiet">{summaryOf(setup)}</span>
      </summary>
      <div class="parameter-grid">
        {PARAMETERS.map(({ name, label, hint, min, max, step, fallback }) => (
          <Field key={name} label={label} hint={hint}>
            {(id, describedBy) => (
              <NumberInput
                id={id}
                describedBy={describedBy}
                min={min}
                max={max}
                step={Number.isInteger(step) ? step : 'any'}
                placeholder={fallback}
                value={parameters[name]}
                change={(value) => set(name, value)}
              />
            )}
          </Field>
        ))}
        <Field label="Stop" hint="An answer ends before this text.">
          {(id, describedBy) => (
            <input
              id={id}
              aria-describedby={describedBy}
              value={setup.stop}
              onInput={({ currentTarget }) => change({ stop: currentTarget.value })}
            />
          )}
        </Field>
        {isChat && (
          <Field label="System message" hint="Stands before the conversation." className="wide">
            {(id, describedBy) => (
              <input
                id={id}
                aria-describedby={describedBy}
                value={setup.system}
                onInput={({ currentTarget }) => change({ system: currentTarget.value })}
              />
            )}
          </Field>
        )}
      </div>
    </details>
  );
}

/** The parameters that are set, in a line. */
function summaryOf({ parameters, stop }: Setup): string {
  const set = PARAMETERS.flatMap(({ name, label }) => {
    const value = parameters[name];
    return value === undefined ? [] : [`${label.toLowerCase()} ${value}`];
  });
  return [...set, ...(stop === '' ? [] : [`stop ${JSON.stringify(stop)}`])].join(' · ');
}
