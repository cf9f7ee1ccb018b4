import type { Command } from 'commander';

import { summarize, type ModelSummary } from '../../prefix/archive-summary.js';
import { print, type Io } from '../io.js';
import type { OpenArchive } from './store.js';

/** `preamble store list`. @param open opens the store that an argument names */
export function addStoreList(
  store: Command,
  io: Io,
  open: (location: string, argument: string) => Promise<OpenArchive>,
): void {
  store
    .command('list <store>')
    .description(
      'Show which prefixes belong to which base model. A prefix serves no model but its own: what belongs to another than the one served is lost with that one.',
    )
    .option('--json', 'print one line of JSON')
    .action(async (location: string, { json }: { json?: boolean }) => {
      const { archive, close } = await open(location, 'STORE');
      try {
        const summaries = await summarize(archive);
        print(io, json ? JSON.stringify(summaries) : summaries.map(line).join('\n'));
      } finally {
        close();
      }
    });
}

function line({ fingerprint, models, tenants, names, versions, bytes }: ModelSummary): string {
  return `${fingerprint} (${models.join(', ')}): ${names} names of ${tenants} tenants, ${versions} versions, ${bytes} bytes`;
}
