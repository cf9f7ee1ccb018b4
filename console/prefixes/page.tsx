import type { VNode } from 'preact';

import { listPrefixes } from '../api/prefixes.js';
import type { Me, Prefix } from '../api/types.js';
import { hrefOf, route } from '../app/route.js';
import { refreshSession, session } from '../session/session.js';
import { count, formatBytes } from '../ui/format.js';
import { Notice } from '../ui/notice.js';
import { useStore } from '../ui/store.js';
import { useLoaded } from '../ui/use-loaded.js';
import { Details } from './details.js';
import { kindOf } from './kind.js';
import { Upload } from './upload.js';

/** The caller's prefixes: the list, one of them with its versions, and the upload of another. */
export default function PrefixesPage(): VNode {
  const current = useStore(session);
  const { query } = useStore(route);
  const name = query.get('name');
  const { value: prefixes, problem, reload } = useLoaded(listPrefixes, 'prefixes');
  const changed = async (): Promise<void> => {
    await Promise.all([reload(), refreshSession()]);
  };
  const chosen = prefixes?.find((prefix) => prefix.name === name);
  return (
    <div class="page two-panes">
      <section aria-labelledby="prefixes-title">
        <div class="title-row">
          <h1 id="prefixes-title">Prefixes</h1>
          <a class="button" href={hrefOf('prefixes')}>
            Upload
          </a>
        </div>
        {current.state === 'open' && <Use me={current.me} />}
        {problem !== undefined && <Notice kind="problem">{problem}</Notice>}
        {prefixes?.length === 0 && <p class="quiet">There are none yet.</p>}
        {prefixes && prefixes.length > 0 && <PrefixList prefixes={prefixes} chosen={name} />}
      </section>
      <section class={`pane ${chosen ? 'chosen' : ''}`} aria-label={chosen ? `Prefix ${chosen.name}` : 'Upload'}>
        {name !== null && prefixes && !chosen && <Notice kind="problem">There is no prefix “{name}”.</Notice>}
        {chosen ? (
          <Details key={`${chosen.name}@${chosen.version}`} name={chosen.name} changed={changed} />
        ) : (
          <Upload changed={changed} />
        )}
      </section>
    </div>
  );
}

/** How much of its limits the tenant uses. */
function Use({ me: { use, limits } }: { me: Me }): VNode {
  const of = (limit: string | undefined): string => (limit === undefined ? '' : ` of ${limit}`);
  return (
    <p class="quiet">
      {use.prefixes.toLocaleString()}
      {of(limits.max_prefixes?.toLocaleString())} {use.prefixes === 1 ? 'prefix' : 'prefixes'},{' '}
      {formatBytes(use.prefix_bytes)}
      {of(limits.max_prefix_bytes === null ? undefined : formatBytes(limits.max_prefix_bytes))}
    </p>
  );
}

function PrefixList({ prefixes, chosen }: { prefixes: readonly Prefix[]; chosen: string | null }): VNode {
  return (
    <ul class="cards">
      {prefixes.map((prefix) => (
        <li key={prefix.name}>
          <a
            class="card"
            href={hrefOf('prefixes', new URLSearchParams({ name: prefix.name }))}
            aria-current={prefix.name === chosen ? 'true' : undefined}
          >
            <b>{prefix.name}</b>
            <span class="quiet">
              {kindOf(prefix)} · {count(prefix.num_virtual_tokens, 'token')}
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}
