import type { ComponentChildren, VNode } from 'preact';

interface NoticeProps {
  /** `problem` and `warning` are read out at once. */
  readonly kind: 'problem' | 'warning' | 'good' | 'note';
  readonly className?: string;
  readonly children: ComponentChildren;
}

/** A short message in the page. */
export function Notice({ kind, className = '', children }: NoticeProps): VNode {
  return (
    <div class={`notice ${kind} ${className}`} role={kind === 'problem' || kind === 'warning' ? 'alert' : 'status'}>
      {children}
    </div>
  );
}
