import type { Command } from 'commander';

import { openArchive } from '../../app/open/archive.js';
import { summarize, type ModelSummary } from '../../prefix/archive-summary.js';
import { print, type Io } from '../io.js';

/** `preamble store list`. */
export function addStoreList(store: Command, io: Io): void {
  store
    .command('list <store>')
    .description(
      'Show which prefixes belong to which base model. A prefix serves no model but its own: what belongs to another than the one served is lost with that one.',
    )
    .option('--json', 'print one line of JSON')
    .action(async (location: string, { json }: { json?: boolean }) => {
      const { archive, close } = await openArchive(location, 'STORE');
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
