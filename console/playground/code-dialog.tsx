import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { apiUrl } from '../api/client.js';
import { CopyButton } from '../ui/copy-button.js';
import { Dialog } from '../ui/dialog.js';
import { codeOf, LANGUAGES, type Language } from './code.js';
import type { Setup } from './setup.js';

interface CodeDialogProps {
  readonly setup: Setup;
  readonly needsKey: boolean;
  readonly isChat: boolean;
  readonly close: () => void;
}

/** Shows a run as a program, to copy. */
export function CodeDialog({ setup, needsKey, isChat, close }: CodeDialogProps): VNode {
  const [language, setLanguage] = useState<Language>('curl');
  const baseUrl = apiUrl('').replace(/\/$/, '');
  const code = codeOf(setup, language, { baseUrl, needsKey, isChat });
  return (
    <Dialog title="The same run as a program" close={close} className="code-dialog">
      <div class="toolbar">
        <fieldset class="segments">
          <legend class="visually-hidden">Language</legend>
          {LANGUAGES.map((one) => (
            <label key={one}>
              <input type="radio" name="language" checked={one === language} onChange={() => setLanguage(one)} />
              {one}
            </label>
          ))}
        </fieldset>
        <CopyButton text={code} label="Copy" />
      </div>
      <pre class="code" tabIndex={0} aria-label={`The run in ${language}`}>
        {code}
      </pre>
      {needsKey && <p class="hint">It reads the key from the environment variable PREAMBLE_KEY.</p>}
    </Dialog>
  );
}
