import type { ComponentChildren, VNode } from 'preact';
import { useRef, useState } from 'preact/hooks';

interface DropZoneProps {
  readonly label: string;
  /** File name endings that the system's dialog offers. */
  readonly accept: string;
  readonly multiple?: boolean;
  readonly take: (files: readonly File[]) => void;
  readonly children: ComponentChildren;
}

/** Takes files that are dropped on it, or chosen in the system's dialog. */
export function DropZone({ label, accept, multiple = false, take, children }: DropZoneProps): VNode {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  return (
    <div
      class={`drop-zone ${over ? 'over' : ''}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        take([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      <div class="drop-text">{children}</div>
      <label class="file-button">
        {label}
        <input
          ref={input}
          type="file"
          class="visually-hidden"
          accept={accept}
          multiple={multiple}
          onChange={({ currentTarget }) => {
            take([...(currentTarget.files ?? [])]);
            currentTarget.value = ''; // the same file may be chosen again
          }}
        />
      </label>
    </div>
  );
}
