import type { VNode } from 'preact';

import { Notice } from '../ui/notice.js';
import { Figures, Totals } from './figures.js';
import { Slots } from './slots.js';
import { useEngine } from './use-engine.js';

const LINKS = { opening: 'connecting …', live: 'live', lost: 'connection lost, trying again …' } as const;

/** The engine as it works: its slots, its queue and its figures, of the last minute and since the start. */
export default function EnginePage(): VNode {
  const { state, history, link, refusal } = useEngine();
  if (refusal !== undefined)
    return (
      <Notice kind="problem">
        {refusal.status === 404
          ? 'This server shows its engine to nobody: it was started with keys, and without the operator’s (PREAMBLE_ADMIN_KEY).'
          : refusal.message}
      </Notice>
    );
  return (
    <div class="page engine">
      <div class="title-row">
        <h1>Engine</h1>
        <p class={`link-state ${link}`} role="status">
          {LINKS[link]}
        </p>
      </div>
      {state && (
        <div class={link === 'lost' ? 'stale' : ''}>
          <Figures state={state} history={history} />
          <Slots state={state} />
          <Totals state={state} />
        </div>
      )}
    </div>
  );
}
