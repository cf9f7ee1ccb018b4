import type { ComponentType, VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { serverIsAway } from '../api/client.js';
import { messageOf } from '../api/errors.js';
import { keys } from '../session/keys.js';
import { openSession, session } from '../session/session.js';
import { SignIn } from '../session/sign-in.js';
import { Notice } from '../ui/notice.js';
import { useStore } from '../ui/store.js';
import { Header } from './header.js';
import { PAGES } from './pages.js';
import { route } from './route.js';

/** The console: its header, and the page that the address names. */
export function App(): VNode {
  const { page } = useStore(route);
  const away = useStore(serverIsAway);
  useEffect(() => void openSession(), []);
  const entry = PAGES.find(({ name }) => name === page);
  useEffect(() => {
    document.title = `${entry?.title ?? 'Not found'} · Preamble`;
  }, [entry]);
  return (
    <>
      <a class="skip" href={`#/${page}`} onClick={focusMain}>
        Skip to content
      </a>
      <Header page={page} />
      {away && (
        <Notice kind="warning" className="away">
          The server does not answer. This page looks for it every two seconds, and what you typed stays.
        </Notice>
      )}
      <main id="main" tabIndex={-1}>
        {entry ? (
          <Gate key={entry.name} entry={entry} />
        ) : (
          <Notice kind="problem">There is no page of this name.</Notice>
        )}
      </main>
    </>
  );
}

function focusMain(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

/** A page, or the question for the key that it needs. */
function Gate({ entry }: { entry: (typeof PAGES)[number] }): VNode {
  const current = useStore(session);
  const { operator } = useStore(keys);
  if (current.state === 'opening') return <p class="quiet">Opening … {current.problem}</p>;
  const isOpen = entry.isOpenWithoutKeys && current.state === 'open' && !current.me.needs_key;
  if (entry.isOperators && operator === undefined && !isOpen) return <SignIn asOperator />;
  if (!entry.isOperators && current.state === 'operator') return <SignIn isOperator />;
  if (!entry.isOperators && current.state === 'closed') return <SignIn reason={current.reason} />;
  return <Page entry={entry} />;
}

function Page({ entry }: { entry: (typeof PAGES)[number] }): VNode {
  const [loaded, setLoaded] = useState<{ Component?: ComponentType; problem?: string }>({});
  useEffect(() => {
    entry.load().then(
      ({ default: Component }) => setLoaded({ Component }),
      (error: unknown) => setLoaded({ problem: messageOf(error) }),
    );
  }, [entry]);
  if (loaded.problem !== undefined)
    return <Notice kind="problem">This page could not be loaded. Reload it when the server is back.</Notice>;
  return loaded.Component ? <loaded.Component /> : <p class="quiet">Loading …</p>;
}
