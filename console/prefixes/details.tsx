import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { messageOf } from '../api/errors.js';
import {
  ADAPTER_FILES,
  type AdapterFile,
  deletePrefix,
  retrievePrefix,
  saveAdapterFile,
  TEMPLATE_FILE,
} from '../api/prefixes.js';
import type { PrefixDetails, PrefixVersion } from '../api/types.js';
import { hrefOf } from '../app/route.js';
import { Confirm } from '../ui/confirm.js';
import { count, formatBytes, formatTime, shortVersion } from '../ui/format.js';
import { Notice } from '../ui/notice.js';
import { useLoaded } from '../ui/use-loaded.js';
import { Compare } from './compare.js';
import { kindOf } from './kind.js';

interface DetailsProps {
  readonly name: string;
  /** Called when it was deleted. */
  readonly changed: () => Promise<void>;
}

/** One prefix: its versions, downloads, comparison and deletion. */
export function Details({ name, changed }: DetailsProps): VNode {
  const { value: prefix, problem } = useLoaded(() => retrievePrefix(name), name);
  const [asks, setAsks] = useState(false);
  if (problem !== undefined) return <Notice kind="problem">{problem}</Notice>;
  if (prefix === undefined) return <p class="quiet">Loading …</p>;
  return (
    <>
      <div class="title-row">
        <h2>{prefix.name}</h2>
        <a class="button" href={hrefOf('playground', tryQuery(prefix))}>
          Try it
        </a>
        <button type="button" class="danger" onClick={() => setAsks(true)}>
          Delete
        </button>
      </div>
      {prefix.warnings.map((warning) => (
        <Notice key={warning} kind="warning">
          {warning}
        </Notice>
      ))}
      <Versions prefix={prefix} />
      <Compare name={prefix.name} base={prefix.base_model} versions={prefix.versions.map(({ version }) => version)} />
      {asks && (
        <Confirm
          title="Delete this prefix?"
          action="Delete"
          close={() => setAsks(false)}
          act={async () => {
            await deletePrefix(name);
            location.hash = hrefOf('prefixes');
            await changed();
          }}
        >
          “{prefix.name}” and its {count(prefix.versions.length, 'version')} are gone at once for new requests, and
          cannot be had back.
        </Confirm>
      )}
    </>
  );
}

function tryQuery({ name, base_model }: PrefixDetails): URLSearchParams {
  return new URLSearchParams([
    ['model', base_model],
    ['model', name],
    ['max_tokens', '80'],
    ['temperature', '0'],
  ]);
}

/** The versions of a prefix, newest first. */
function Versions({ prefix }: { prefix: PrefixDetails }): VNode {
  const [problem, setProblem] = useState<string>();
  const save = (version: PrefixVersion, file: AdapterFile): void => {
    setProblem(undefined);
    saveAdapterFile(`${prefix.name}@${version.version}`, file).catch((error: unknown) => setProblem(messageOf(error)));
  };
  return (
    <>
      <div class="table-frame">
        <table class="table">
          <caption class="visually-hidden">Versions of {prefix.name}, newest first</caption>
          <thead>
            <tr>
              <th scope="col">Version</th>
              <th scope="col">Kind</th>
              <th scope="col" class="number">
                Tokens
              </th>
              <th scope="col" class="number">
                Size
              </th>
              <th scope="col">Stored</th>
              <th scope="col">Download</th>
            </tr>
          </thead>
          <tbody>
            {prefix.versions.map((version) => (
              <tr key={version.version}>
                <td>
                  <code>{shortVersion(version.version)}</code>
                </td>
                <td>{kindOf(version)}</td>
                <td class="number">{tokensOf(version)}</td>
                <td class="number">{formatBytes(version.bytes)}</td>
                <td>{formatTime(version.created)}</td>
                <td>
                  {filesOf(version).map((file) => (
                    <button
                      key={file}
                      type="button"
                      class="plain link"
                      aria-label={`Download ${file} of version ${shortVersion(version.version)}`}
                      onClick={() => save(version, file)}
                    >
                      {file.split('.').at(-1)}
                    </button>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {problem !== undefined && <Notice kind="problem">{problem}</Notice>}
    </>
  );
}

/** The files that a version has. */
function filesOf({ chat_template }: PrefixVersion): readonly AdapterFile[] {
  return chat_template === true ? [...ADAPTER_FILES, TEMPLATE_FILE] : ADAPTER_FILES;
}

/** Virtual tokens, at each site where there are several. */
function tokensOf({ num_virtual_tokens, sites }: PrefixVersion): string {
  if (sites === undefined) return String(num_virtual_tokens);
  return Object.entries(sites)
    .map(([site, tokens]) => `${site} ${tokens}`)
    .join(', ');
}
