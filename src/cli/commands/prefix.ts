import { Option, type Command } from 'commander';

import { readAdapterDirectory } from '../../prefix/adapter/directory.js';
import { CONFIG_FILE, MODEL_FILE, TEMPLATE_FILE } from '../../prefix/adapter/format.js';
import type { Prefix, PrefixDetails } from '../../server/prefixes/schema.js';
import { Client, listAll, withClientOptions, type ClientOptions } from '../client.js';
import { print, table, type Io } from '../io.js';
import { addPrefixConvert } from './prefix-convert.js';
import { addPrefixDiff } from './prefix-diff.js';
import { addPrefixGrants } from './prefix-grants.js';
import { addPrefixShares, sharesTable } from './prefix-shares.js';
import { pathOf, pullAdapter, shorten } from './prefix-paths.js';

interface Options extends ClientOptions {
  readonly json?: boolean;
}

interface PushOptions extends Options {
  readonly share?: '0' | '100';
  readonly name: string;
  readonly placement?: 'prefix' | 'infix';
  readonly force?: boolean;
  /** False for `--no-chat-template`. */
  readonly chatTemplate: boolean;
}

/** `preamble prefix push | ls | inspect | pull | rm`, and the commands of the files beside this. */
export function addPrefix(program: Command, io: Io): void {
  const prefix = program
    .command('prefix')
    .description('Manage the prefixes of a running server, and convert files of other programs.');
  const command = (usage: string, description: string): Command =>
    withClientOptions(prefix.command(usage).description(description)).option('--json', 'print one line of JSON');
  command('push <dir>', `Upload the ${CONFIG_FILE} and ${MODEL_FILE} of a directory.`)
    .requiredOption('--name <name>', 'name to serve it by')
    .addOption(new Option('--placement <placement>', 'default: as in the config').choices(['prefix', 'infix']))
    .option('--force', 'accept an adapter that names another base model')
    .option('--no-chat-template', `leave a ${TEMPLATE_FILE} of the directory out`)
    .addOption(new Option('--share <percent>', '0: to be tried as NAME@VERSION first').choices(['0', '100']))
    .action(async (dir: string, options: PushOptions) => print(io, await push(dir, options)));
  command('ls', 'List prefixes.').action(async (options: Options) => print(io, await list(options)));
  command('inspect <name>', 'Show a prefix and its versions.').action(async (name: string, options: Options) =>
    print(io, await inspect(name, options)),
  );
  command('pull <name> <dir>', 'Download the files of an adapter.').action(
    async (name: string, dir: string, options: Options) => print(io, await pull(name, dir, options)),
  );
  command('rm <name>', 'Delete a prefix.').action(async (name: string, options: Options) =>
    print(io, await remove(name, options)),
  );
  addPrefixShares(command, io);
  addPrefixGrants(command, io);
  addPrefixDiff(command, io);
  addPrefixConvert(prefix, io);
}

async function push(dir: string, options: PushOptions): Promise<string> {
  const { config, model, template } = await readAdapterDirectory(dir);
  const form = new FormData();
  form.set('name', options.name);
  if (options.placement) form.set('placement', options.placement);
  if (options.force) form.set('force', 'true');
  if (options.share) form.set('share', options.share);
  form.set('adapter_config', new Blob([config]), CONFIG_FILE);
  form.set('adapter_model', new Blob([model]), MODEL_FILE);
  if (template && options.chatTemplate) form.set('chat_template', new Blob([template]), TEMPLATE_FILE);
  const pushed = await new Client(options).form<Prefix>('/v1/prefixes', form);
  if (options.json) return JSON.stringify(pushed);
  const extra = pushed.chat_template ? [`with ${TEMPLATE_FILE}`] : [];
  const warnings = pushed.warnings.map((text) => `warning: ${text}`);
  return [[`${pushed.name}@${shorten(pushed.version)}`, ...extra].join(' '), ...warnings].join('\n');
}

async function list(options: Options): Promise<string> {
  const prefixes = await listAll<Prefix>(new Client(options), '/v1/prefixes');
  if (options.json) return JSON.stringify(prefixes);
  const rows = prefixes.map((p) => [p.name, shorten(p.version), p.kind, p.placement, p.num_virtual_tokens, p.bytes]);
  return table(['NAME', 'VERSION', 'KIND', 'PLACEMENT', 'TOKENS', 'BYTES'], rows);
}

async function inspect(name: string, options: Options): Promise<string> {
  const details = await new Client(options).json<PrefixDetails>('GET', pathOf(name));
  if (options.json) return JSON.stringify(details);
  const { versions, shares, warnings, sites, object: _, ...fields } = details;
  const lines = Object.entries(fields).map(([key, value]) => `${key}: ${value}`);
  const atSites = Object.entries(sites ?? {}).map((pair) => pair.join(' '));
  if (sites) lines.push(`sites: ${atSites.join(', ')}`);
  const rows = versions.map((v) => [shorten(v.version), v.kind, v.placement, v.num_virtual_tokens, v.bytes]);
  const history = table(['VERSION', 'KIND', 'PLACEMENT', 'TOKENS', 'BYTES'], rows);
  return [...lines, ...warnings.map((text) => `warning: ${text}`), history, sharesTable(shares)].join('\n');
}

async function pull(name: string, dir: string, options: Options): Promise<string> {
  const placement = await pullAdapter(new Client(options), name, dir);
  if (options.json) return JSON.stringify({ name, directory: dir, placement });
  const pulled = `${name} -> ${dir}`;
  return placement === 'infix' ? `${pulled}\nwarning: an infix, which PEFT takes for a prefix` : pulled;
}

async function remove(name: string, options: Options): Promise<string> {
  const deleted = await new Client(options).json<object>('DELETE', pathOf(name));
  return options.json ? JSON.stringify(deleted) : `deleted: ${name}`;
}
