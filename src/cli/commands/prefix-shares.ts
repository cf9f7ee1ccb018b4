import { type Command, InvalidArgumentError } from 'commander';

import type { PrefixDetails } from '../../server/prefixes/schema.js';
import type { NewShares, Share } from '../../server/prefixes/share-schema.js';
import { Client, type ClientOptions } from '../client.js';
import { type Io, print, table } from '../io.js';
import { pathOf, shorten } from './prefix-paths.js';

interface Options extends ClientOptions {
  readonly json?: boolean;
}

type WantedShare = NewShares['shares'][number];

/** `preamble prefix share | promote | rollback`. @param command makes a command of `preamble prefix` */
export function addPrefixShares(command: (usage: string, description: string) => Command, io: Io): void {
  command('share <name>', 'Divide the requests of a prefix among its versions.')
    .argument('<version=percent...>', '100 percent together', collectShares)
    .action(async (name: string, shares: readonly WantedShare[], options: Options) =>
      print(io, await set(name, shares, options)),
    );
  command('promote <name> <version>', 'Let one version answer all requests of a prefix.').action(
    async (name: string, version: string, options: Options) =>
      print(io, await set(name, [{ version, percent: 100 }], options)),
  );
  command('rollback <name>', 'Undo the last change of shares.').action(async (name: string, options: Options) =>
    print(io, describe(await new Client(options).json('POST', `${pathOf(name)}/shares/rollback`), options)),
  );
}

/** The versions that answer, with their percents and their labels in metrics. */
export function sharesTable(shares: readonly Share[]): string {
  const rows = shares.map(({ version, percent, version_id }) => [shorten(version), percent, version_id]);
  return table(['VERSION', 'PERCENT', 'VERSION ID'], rows);
}

async function set(name: string, shares: readonly WantedShare[], options: Options): Promise<string> {
  return describe(await new Client(options).json('PUT', `${pathOf(name)}/shares`, { shares }), options);
}

function describe(details: PrefixDetails, { json }: Options): string {
  return json ? JSON.stringify(details) : sharesTable(details.shares);
}

/** Reads `VERSION=PERCENT`. The server checks the rest. */
function collectShares(text: string, before: readonly WantedShare[] | undefined): WantedShare[] {
  const [, version = '', percent] = /^([0-9a-f]{12,64})=(\d{1,3})$/.exec(text) ?? [];
  if (percent === undefined)
    throw new InvalidArgumentError('Give VERSION=PERCENT, with 12 to 64 digits of the version.');
  return [...(before ?? []), { version, percent: Number(percent) }];
}
