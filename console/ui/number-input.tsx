import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

interface NumberInputProps {
  readonly id: string;
  readonly describedBy: string | undefined;
  /** Undefined: the field is empty. */
  readonly value: number | undefined;
  /** What a field stands for that is empty, or has not yet a number; undefined unless given. */
  readonly whenEmpty?: number;
  /** Called with what is typed. */
  readonly change: (value: number | undefined) => void;
  readonly min?: number;
  readonly max?: number;
  readonly step?: number | 'any';
  readonly placeholder?: string;
}

/**
 * A field for a number. It leaves what is being typed as it is: `0.` on the way to `0.05` and `5e` on the way to `5e-5` are not replaced by the
 * number that they would be by themselves.
 */
export function NumberInput({ id, describedBy, value, whenEmpty, change, ...attributes }: NumberInputProps): VNode {
  const [typed, setTyped] = useState<{ readonly text: string; readonly value: number | undefined }>();
  return (
    <input
      id={id}
      type="number"
      inputMode="decimal"
      aria-describedby={describedBy}
      {...attributes}
      value={typed && Object.is(typed.value, value) ? typed.text : (value ?? '')}
      onInput={({ currentTarget }) => {
        // A browser gives no text of what is not yet a number.
        const number = currentTarget.value === '' ? whenEmpty : Number(currentTarget.value);
        setTyped({ text: currentTarget.value, value: number });
        change(number);
      }}
    />
  );
}
