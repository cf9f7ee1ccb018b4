import type { Command } from 'commander';

import { openArchive } from '../../app/open/archive.js';
import { copyPrefixes, type CopyCounts } from '../../prefix/copy.js';
import { print, type Io } from '../io.js';
import { addStoreList } from './store-list.js';

/** Least time between two lines of progress. */
const PROGRESS_EVERY_MS = 1000;

/** `preamble store copy` and `list`. */
export function addStore(program: Command, io: Io): void {
  const store = program.command('store').description('Work on a store of prefixes.');
  addStoreList(store, io);
  store
    .command('copy <from> <to>')
    .description(
      'Copy the prefixes of all tenants and base models between file:DIR and redis://... Keys, tenants and their limits are not copied. ' +
        'What is there and undamaged is skipped, so a copy that was cut off is continued by the same command. A name that is in both stands for what it stands for in <from>.',
    )
    .option('--json', 'print one line of JSON')
    .action(async (from: string, to: string, options: { json?: boolean }) => {
      const counts = await copy(from, to, io);
      const { names, copied, skipped, failed } = counts;
      const text = `${names} names: ${copied} versions copied, ${skipped} there already, ${failed} names failed`;
      print(io, options.json ? JSON.stringify(counts) : text);
      if (failed > 0) throw new Error(`${failed} names could not be copied`);
    });
}

async function copy(fromUrl: string, toUrl: string, io: Io): Promise<CopyCounts> {
  const from = await openArchive(fromUrl, 'FROM');
  try {
    const to = await openArchive(toUrl, 'TO');
    try {
      return await copyPrefixes(from.archive, to.archive, {
        onProgress: progress(io),
        onFailure: ({ fingerprint, tenant }, name, { message }) =>
          io.stderr.write(`${fingerprint}/${tenant}/${name}: ${message}\n`),
      });
    } finally {
      to.close();
    }
  } finally {
    from.close();
  }
}

function progress({ stderr }: Io): (counts: CopyCounts) => void {
  let last = performance.now();
  return ({ names, copied, skipped }) => {
    if (performance.now() - last < PROGRESS_EVERY_MS) return;
    last = performance.now();
    stderr.write(`${names} names: ${copied} versions copied, ${skipped} there already\n`);
  };
}
