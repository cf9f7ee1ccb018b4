import type { Command } from 'commander';

import type { IssuedKey, Key } from '../../server/admin/schema.js';
import { adminClient, listAll, withAdminOptions, type AdminOptions } from '../client.js';
import { print, table, type Io } from '../io.js';

const PATH = '/v1/admin/keys';

interface Options extends AdminOptions {
  readonly json?: boolean;
}

interface CreateOptions extends Options {
  readonly tenant: string;
  readonly label?: string;
}

interface ListOptions extends Options {
  readonly tenant?: string;
}

/** `preamble key create | ls | revoke`. */
export function addKey(program: Command, io: Io): void {
  const key = program.command('key').description('Manage the API keys of a running server.');
  const command = (usage: string, description: string): Command =>
    withAdminOptions(key.command(usage).description(description)).option('--json', 'print one line of JSON');
  command('create', 'Create a key and print it, once. A tenant that is missing is created.')
    .requiredOption('--tenant <tenant>', 'whose key it is')
    .option('--label <label>', 'what it is for')
    .action(async (options: CreateOptions) => {
      const issued = await create(options);
      print(io, options.json ? JSON.stringify(issued) : issued.key);
      if (!options.json) io.stderr.write(`key ${issued.id} of ${issued.tenant}; it cannot be shown again\n`);
    });
  command('ls', 'List keys, of which only the last characters are shown.')
    .option('--tenant <tenant>', 'only this one')
    .action(async (options: ListOptions) => print(io, await list(options)));
  command('revoke <id>', 'Make a key invalid, on every replica at once.').action(async (id: string, options: Options) =>
    print(io, await revoke(id, options)),
  );
}

function create({ tenant, label, ...options }: CreateOptions): Promise<IssuedKey> {
  return adminClient(options).json<IssuedKey>('POST', PATH, { tenant, ...(label !== undefined && { label }) });
}

async function list({ tenant, json, ...options }: ListOptions): Promise<string> {
  const query = tenant === undefined ? '' : `&tenant=${encodeURIComponent(tenant)}`;
  const keys = await listAll<Key>(adminClient(options), PATH, query);
  if (json) return JSON.stringify(keys);
  const rows = keys.map((k) => [k.id, k.tenant, k.last4 ?? '', k.label ?? '', created(k.created)]);
  return table(['ID', 'TENANT', 'LAST4', 'LABEL', 'CREATED'], rows);
}

async function revoke(id: string, { json, ...options }: Options): Promise<string> {
  const revoked = await adminClient(options).json<object>('DELETE', `${PATH}/${encodeURIComponent(id)}`);
  return json ? JSON.stringify(revoked) : `revoked: ${id}`;
}

/** The time of creation as text; unknown for a key from the settings. */
function created(seconds: number | null): string {
  return seconds === null ? 'settings' : new Date(seconds * 1000).toISOString();
}
