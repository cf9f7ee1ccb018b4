import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { startBatch } from '../api/batches.js';
import { messageOf } from '../api/errors.js';
import type { Batch } from '../api/types.js';
import { DropZone } from '../ui/drop-zone.js';
import { count, formatBytes } from '../ui/format.js';
import { Notice } from '../ui/notice.js';
import { readRequests, type Requests } from './requests.js';

interface Chosen {
  readonly file: File;
  readonly read: Requests;
}

/** The way from a file to a batch: drop it, see what was read, start. @param created called with the batch once it is queued */
export function NewBatchForm({ base, created }: { base: string; created: (batch: Batch) => Promise<void> }): VNode {
  const [chosen, setChosen] = useState<Chosen>();
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const take = async (files: readonly File[]): Promise<void> => {
    const [file, other] = files;
    if (file === undefined) return;
    setProblem(other === undefined ? undefined : 'One file at a time, please: the first was taken.');
    setChosen({ file, read: readRequests(await file.text()) });
  };
  const start = async (): Promise<void> => {
    if (chosen?.read.endpoint === undefined) return;
    setBusy(true);
    setProblem(undefined);
    try {
      await created(await startBatch(chosen.file, chosen.read.endpoint));
    } catch (error) {
      setProblem(messageOf(error));
      setBusy(false);
    }
  };
  const example = { custom_id: 'a', method: 'POST', url: '/v1/completions', body: { model: base, prompt: 'The' } };
  return (
    <>
      <h2>Requests from a file</h2>
      <p class="quiet">They are done in slots that nobody else wants, within 24 hours, and cost nobody’s time.</p>
      <DropZone label="Choose a file" accept=".jsonl,.json,.txt" take={(files) => void take(files)}>
        Drop a file of lines such as <code>{JSON.stringify(example)}</code>
      </DropZone>
      {chosen && (
        <>
          <h3>
            {chosen.file.name} <span class="quiet">{formatBytes(chosen.file.size)}</span>
          </h3>
          {chosen.read.problem !== undefined ? (
            <Notice kind="problem">{chosen.read.problem}</Notice>
          ) : (
            <>
              <p>
                {count(chosen.read.count, 'request')} for <code>{chosen.read.endpoint}</code>
              </p>
              <pre class="request-lines">{chosen.read.first.join('\n')}</pre>
              <button type="button" class="primary" disabled={busy} onClick={() => void start()}>
                {busy ? 'Starting …' : 'Start batch'}
              </button>
            </>
          )}
        </>
      )}
      {problem !== undefined && <Notice kind="problem">{problem}</Notice>}
    </>
  );
}
