import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';

import { call } from '../api/client.js';
import type { Model } from '../api/types.js';
import { route } from '../app/route.js';
import { session } from '../session/session.js';
import { Notice } from '../ui/notice.js';
import { useStore } from '../ui/store.js';
import { useLoaded } from '../ui/use-loaded.js';
import { Board } from './board.js';
import { kept } from './kept.js';
import { firstSetup, fromQuery } from './setup.js';

/** The playground: one prompt, several prefixes, and their answers side by side as they come. */
export default function PlaygroundPage(): VNode {
  const current = useStore(session);
  const { query } = useStore(route);
  const { value: models, problem } = useLoaded(listModels, 'models');
  const address = query.toString();
  useEffect(() => {
    const linked = fromQuery(query);
    if (linked) kept.set({ setup: linked, exchanges: [] });
  }, [address]);
  const state = useStore(kept);
  useEffect(() => {
    if (models && !kept.get()) kept.set({ setup: firstSetup(models), exchanges: [] });
  }, [models]);
  if (problem !== undefined && models === undefined) return <Notice kind="problem">{problem}</Notice>;
  if (models === undefined || state === undefined || current.state !== 'open') return <p class="quiet">Opening …</p>;
  if (!current.me.base_model.text)
    return (
      <Notice kind="note">
        This model has no tokenizer: its prompts are token ids, which only programs write. See /docs for the routes.
      </Notice>
    );
  return <Board key={address} models={models} me={current.me} state={state} />;
}

/** The ids of all models, the base model first. */
async function listModels(): Promise<string[]> {
  const { data } = await call<{ data: Model[] }>('models');
  return data.map(({ id }) => id);
}
