import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';

interface CopyButtonProps {
  /** What is copied, or what makes it when it is asked for. */
  readonly text: string | (() => string);
  readonly label: string;
  /** Whether it has no frame. */
  readonly isQuiet?: boolean;
}

/** How long the button says that it has copied. */
const TOLD_MS = 2000;

/** Copies a text. Where the browser does not let it, which is so on pages that came by plain HTTP, it says so. */
export function CopyButton({ text, label, isQuiet = false }: CopyButtonProps): VNode {
  const [told, setTold] = useState<string>();
  useEffect(() => {
    if (told === undefined) return;
    const timer = setTimeout(() => setTold(undefined), TOLD_MS);
    return () => clearTimeout(timer);
  }, [told]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(typeof text === 'string' ? text : text());
      setTold('Copied');
    } catch {
      setTold('The browser does not allow it');
    }
  };
  return (
    <button type="button" class={isQuiet ? 'quiet-button' : ''} onClick={() => void copy()}>
      <span role="status">{told ?? label}</span>
    </button>
  );
}
