import type { ComponentChildren, VNode } from 'preact';
import { useId } from 'preact/hooks';

interface FieldProps {
  readonly label: string;
  /** What the value means, in a line. */
  readonly hint?: ComponentChildren;
  /** Why the value was refused. */
  readonly problem?: string | undefined;
  readonly className?: string;
  /** The control; its id is the one given. */
  readonly children: (id: string, describedBy: string | undefined) => VNode;
}

/** A control with its label, a hint, and what is wrong with it, tied together for screen readers. */
export function Field({ label, hint, problem, className = '', children }: FieldProps): VNode {
  const id = useId();
  const described = [hint !== undefined && `${id}-hint`, problem !== undefined && `${id}-problem`].filter(Boolean);
  return (
    <div class={`field ${className}`}>
      <label for={id}>{label}</label>
      {children(id, described.length > 0 ? described.join(' ') : undefined)}
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {problem !== undefined && (
        <p class="field-problem" id={`${id}-problem`} role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}
