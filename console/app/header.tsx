import type { VNode } from 'preact';

import { keys } from '../session/keys.js';
import { session, signOut } from '../session/session.js';
import { useStore } from '../ui/store.js';
import { PAGES } from './pages.js';
import { hrefOf } from './route.js';
import { nextTheme, theme } from './theme.js';

const THEME_SIGNS = { system: '◐', light: '○', dark: '●' } as const;

/** The header: the pages, whose key is in use, and the theme. */
export function Header({ page }: { page: string }): VNode {
  return (
    <header class="header">
      <a class="wordmark" href={hrefOf('playground')} aria-label="Preamble, playground">
        <span aria-hidden="true" class="pilcrow">
          ¶
        </span>
        Preamble
      </a>
      <nav aria-label="Pages">
        {PAGES.map(({ name, title }) => (
          <a key={name} href={hrefOf(name)} aria-current={name === page ? 'page' : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <Who />
      <ThemeSwitch />
    </header>
  );
}

/** The base model and whose key is in use. */
function Who(): VNode {
  const current = useStore(session);
  const { tenant, operator } = useStore(keys);
  const hasKey = tenant !== undefined || operator !== undefined;
  return (
    <div class="who">
      {current.state === 'open' && (
        <>
          <span class="who-model" title="The base model">
            {current.me.base_model.id}
          </span>
          {current.me.needs_key && <span title="The tenant whose key this is">{current.me.tenant}</span>}
        </>
      )}
      {operator !== undefined && <span>operator</span>}
      {hasKey && (
        <button type="button" class="plain" onClick={() => void signOut()}>
          Forget key
        </button>
      )}
    </div>
  );
}

function ThemeSwitch(): VNode {
  const chosen = useStore(theme);
  return (
    <button
      type="button"
      class="plain theme"
      aria-label={`Colours: ${chosen}`}
      title={`Colours: ${chosen}`}
      onClick={nextTheme}
    >
      <span aria-hidden="true">{THEME_SIGNS[chosen]}</span>
    </button>
  );
}
