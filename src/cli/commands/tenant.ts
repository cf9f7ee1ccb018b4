import { InvalidArgumentError, type Command } from 'commander';

import type { Tenant, TenantChanges } from '../../server/admin/schema.js';
import { adminClient, listAll, withAdminOptions, type AdminOptions } from '../client.js';
import { print, table, type Io } from '../io.js';

const PATH = '/v1/admin/tenants';

interface Options extends AdminOptions {
  readonly json?: boolean;
}

type Limit = number | null | 'default';

/** Limits as they were typed. They are converted later, because Commander takes null for a missing value. */
interface SetOptions extends Options {
  readonly weight?: string;
  readonly requestsPerMinute?: string;
  readonly tokensPerMinute?: string;
  readonly maxPrefixes?: string;
  readonly maxPrefixBytes?: string;
  readonly queueShare?: string;
}

interface RemoveOptions extends Options {
  readonly prefixes?: boolean;
}

/** `preamble tenant set | ls | rm`. */
export function addTenant(program: Command, io: Io): void {
  const tenant = program.command('tenant').description('Manage the tenants of a running server and their limits.');
  const command = (usage: string, description: string): Command =>
    withAdminOptions(tenant.command(usage).description(description)).option('--json', 'print one line of JSON');
  command(
    'set <tenant>',
    "Create a tenant or change its limits: a number, 'none', or 'default'. Others stay as they are.",
  )
    .option('--weight <n>', 'part of the machine, relative to other tenants', checkLimit)
    .option('--requests-per-minute <n>', 'completions', checkLimit)
    .option('--tokens-per-minute <n>', 'prompt and generated tokens', checkLimit)
    .option('--max-prefixes <n>', 'prefixes to keep', checkLimit)
    .option('--max-prefix-bytes <n>', 'bytes of all their versions', checkLimit)
    .option('--queue-share <x>', 'part of the waiting queue, at most 1', checkLimit)
    .action(async (name: string, options: SetOptions) => print(io, await set(name, options)));
  command('ls', 'List tenants and the limits that are in force.').action(async (options: Options) =>
    print(io, await list(options)),
  );
  command('rm <tenant>', 'Delete a tenant, revoke its keys and cancel its fine-tuning jobs. Its prefixes stay.')
    .option('--prefixes', 'delete its prefixes, files and jobs too')
    .action(async (name: string, options: RemoveOptions) => print(io, await remove(name, options)));
}

async function set(name: string, options: SetOptions): Promise<string> {
  const tenant = await adminClient(options).json<Tenant>('POST', pathOf(name), toChanges(options));
  return options.json ? JSON.stringify(tenant) : tenantTable([tenant]);
}

/** The body of the request. Limits that were not given are undefined, so JSON leaves them out. */
function toChanges(options: SetOptions): TenantChanges {
  return {
    weight: toLimit(options.weight),
    requests_per_minute: toLimit(options.requestsPerMinute),
    tokens_per_minute: toLimit(options.tokensPerMinute),
    max_prefixes: toLimit(options.maxPrefixes),
    max_prefix_bytes: toLimit(options.maxPrefixBytes),
    queue_share: toLimit(options.queueShare),
  } as TenantChanges;
}

async function list(options: Options): Promise<string> {
  const tenants = await listAll<Tenant>(adminClient(options), PATH);
  return options.json ? JSON.stringify(tenants) : tenantTable(tenants);
}

async function remove(name: string, options: RemoveOptions): Promise<string> {
  const query = options.prefixes ? '?prefixes=true' : '';
  const deleted = await adminClient(options).json<object>('DELETE', `${pathOf(name)}${query}`);
  return options.json ? JSON.stringify(deleted) : `deleted: ${name}`;
}

function tenantTable(tenants: readonly Tenant[]): string {
  const limit = (value: number | null): string => (value === null ? 'none' : String(value));
  const rows = tenants.map((t) => [
    t.tenant,
    limit(t.weight),
    limit(t.requests_per_minute),
    limit(t.tokens_per_minute),
    limit(t.max_prefixes),
    limit(t.max_prefix_bytes),
    limit(t.queue_share),
  ]);
  return table(['TENANT', 'WEIGHT', 'REQUESTS/MIN', 'TOKENS/MIN', 'PREFIXES', 'PREFIX BYTES', 'QUEUE SHARE'], rows);
}

function pathOf(name: string): string {
  return `${PATH}/${encodeURIComponent(name)}`;
}

/** Checks the form of a limit; the server checks its range. */
function checkLimit(text: string): string {
  if (/^(default|none|\d+(\.\d+)?)$/.test(text)) return text;
  throw new InvalidArgumentError("expected a number, 'none' or 'default'");
}

function toLimit(text: string | undefined): Limit | undefined {
  if (text === undefined || text === 'default') return text;
  return text === 'none' ? null : Number(text);
}
