import { expect, it } from 'vitest';

import { chattyModel } from '../support/chatty-model.js';
import { send } from '../support/http.js';
import { operationsOf } from '../support/openapi.js';
import { realServer, uploadBundled } from '../support/real-server.js';
import { temporaryDirectory } from './prefix-library.js';

it('has an example of every JSON body, which works as it is', async () => {
  // One that has a chat template, which the bundled model has not.
  const model = await chattyModel(await temporaryDirectory());
  const { url, server } = await realServer({ model, modelName: 'preamble-demo' });
  await uploadBundled(url, 'headlines');
  /** What the examples of a route cannot know: the id of a file. */
  const files: Readonly<Record<string, object>> = {
    '/v1/fine_tuning/jobs': { training_file: await uploadFile(url, 'fine-tune', '{"prompt": "a", "completion": "b"}') },
    '/v1/batches': { input_file_id: await uploadFile(url, 'batch', '') },
  };
  const withBody = (await operationsOf(server.app)).filter(({ bodies }) => 'application/json' in bodies);
  // Without settings there is no administration, whose requests an example could not be right for.
  const tried = withBody.filter(({ path }) => !path.startsWith('/v1/admin/'));
  expect(tried.map(({ path }) => path)).toEqual(
    expect.arrayContaining([
      '/v1/completions',
      '/v1/batch/completions',
      '/v1/chat/completions',
      '/v1/prefixes',
      '/v1/fine_tuning/jobs',
      '/v1/batches',
    ]),
  );
  const { version } = (await (await fetch(`${url}/v1/prefixes/headlines`)).json()) as { version: string };
  for (const { method, path: pattern, bodies } of tried) {
    const path = pattern.replace('{name}', 'headlines');
    const examples = bodies['application/json'] ?? [];
    expect(examples.length, `examples of ${path}`).toBeGreaterThan(0);
    for (const example of examples) {
      const body = path.endsWith('/shares') ? { shares: [{ version, percent: 100 }] } : { ...example, ...files[path] };
      const { status, text } = await send(url, { method, path, body });
      expect([200, 201], text).toContain(status);
      expect(text).not.toContain('"error":{');
    }
  }
});

/** Uploads a file and returns its id. */
async function uploadFile(url: string, purpose: string, content: string): Promise<string> {
  const form = new FormData();
  form.set('purpose', purpose);
  form.set('file', new Blob([content]), 'examples.jsonl');
  const answer = await fetch(`${url}/v1/files`, { method: 'POST', body: form });
  return ((await answer.json()) as { id: string }).id;
}
