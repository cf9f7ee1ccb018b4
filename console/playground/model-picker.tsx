import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

interface ModelPickerProps {
  readonly label: string;
  readonly value: string;
  /** Ids to choose from, the base model first. */
  readonly models: readonly string[];
  readonly choose: (model: string) => void;
}

const TYPED = ' typed';

/** Chooses what a column asks: the base model or a prefix from the list, or any value of `model` that is typed. */
export function ModelPicker({ label, value, models, choose }: ModelPickerProps): VNode {
  const [typing, setTyping] = useState(false);
  const isListed = models.includes(value);
  const [base, ...prefixes] = models;
  if (typing || (!isListed && value === ''))
    return (
      <input
        class="picker"
        aria-label={`${label}: name, name@version or a+b`}
        placeholder="name, name@version, a+b"
        ref={(input) => input?.focus()}
        spellcheck={false}
        defaultValue={value}
        onChange={({ currentTarget }) => choose(currentTarget.value.trim())}
        onBlur={() => setTyping(false)}
        onKeyDown={({ key, currentTarget }) => {
          if (key !== 'Enter' && key !== 'Escape') return;
          if (key === 'Enter') choose(currentTarget.value.trim());
          setTyping(false);
        }}
      />
    );
  return (
    <select
      class="picker"
      aria-label={label}
      value={value}
      onChange={({ currentTarget }) => (currentTarget.value === TYPED ? setTyping(true) : choose(currentTarget.value))}
    >
      {!isListed && <option value={value}>{value}</option>}
      {base !== undefined && (
        <optgroup label="Base model">
          <option value={base}>{base}</option>
        </optgroup>
      )}
      {prefixes.length > 0 && (
        <optgroup label="Prefixes">
          {prefixes.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </optgroup>
      )}
      <option value={TYPED}>Type a name …</option>
    </select>
  );
}
