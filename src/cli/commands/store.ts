import type { Command } from 'commander';

import { parseStore } from '../../config/config.js';
import { copyPrefixes, type CopyCounts, type PrefixArchive } from '../../prefix/copy.js';
import { DiskPrefixArchive } from '../../prefix/on-disk/disk-archive.js';
import { print, type Io } from '../io.js';
import { addStoreList } from './store-list.js';

/** Between two lines of progress. Milliseconds. */
const PROGRESS_EVERY = 1000;

/** An archive and how to leave it. */
export interface OpenArchive {
  readonly archive: PrefixArchive;
  readonly close: () => void;
}

/** `preamble store copy` and `list`. */
export function addStore(program: Command, io: Io): void {
  const store = program.command('store').description('Work on a store of prefixes.');
  addStoreList(store, io, open);
  store
    .command('copy <from> <to>')
    .description(
      'Copy the prefixes of all tenants and base models between file:DIR and redis://... Keys, tenants and their limits are not copied. ' +
        'What is there is skipped, so a copy that was cut off is continued by the same command. A name that is in both stands for what it stands for in <from>.',
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
  const from = await open(fromUrl, 'FROM');
  try {
    const to = await open(toUrl, 'TO');
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

/** A URL may hold a password: messages name the argument instead. */
async function open(text: string, argument: string): Promise<OpenArchive> {
  const location = parseStore(argument, text);
  if (location.kind === 'file') return { archive: new DiskPrefixArchive(location.directory), close: () => undefined };
  const { openRedisArchive } = await import('../../app/open-redis.js');
  return openRedisArchive(location.url, argument);
}

function progress({ stderr }: Io): (counts: CopyCounts) => void {
  let last = performance.now();
  return ({ names, copied, skipped }) => {
    if (performance.now() - last < PROGRESS_EVERY) return;
    last = performance.now();
    stderr.write(`${names} names: ${copied} versions copied, ${skipped} there already\n`);
  };
}
