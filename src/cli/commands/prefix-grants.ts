import type { Command } from 'commander';

import type { Grant } from '../../server/prefixes/grant-schema.js';
import { Client, type ClientOptions } from '../client.js';
import { type Io, print, table } from '../io.js';
import { pathOf } from './prefix-paths.js';

interface Options extends ClientOptions {
  readonly json?: boolean;
}

/** `preamble prefix grant | revoke | grants`. @param command makes a command of `preamble prefix` */
export function addPrefixGrants(command: (usage: string, description: string) => Command, io: Io): void {
  command('grant <name> <tenant>', 'Let another tenant use a prefix in its requests.').action(
    async (name: string, tenant: string, options: Options) => {
      const grant = await new Client(options).json<Grant>('PUT', grantPath(name, tenant));
      print(io, options.json ? JSON.stringify(grant) : `${tenant} may use it as ${grant.model}`);
    },
  );
  command('revoke <name> <tenant>', 'Take the leave to use a prefix back.').action(
    async (name: string, tenant: string, options: Options) => {
      const deleted = await new Client(options).json<object>('DELETE', grantPath(name, tenant));
      print(io, options.json ? JSON.stringify(deleted) : `revoked: ${tenant}`);
    },
  );
  command('grants <name>', 'List the tenants that may use a prefix.').action(async (name: string, options: Options) => {
    const { data } = await new Client(options).json<{ data: readonly Grant[] }>('GET', `${pathOf(name)}/grants`);
    const rows = data.map(({ tenant, model }) => [tenant, model]);
    print(io, options.json ? JSON.stringify(data) : table(['TENANT', 'MODEL'], rows));
  });
}

function grantPath(name: string, tenant: string): string {
  return `${pathOf(name)}/grants/${encodeURIComponent(tenant)}`;
}
