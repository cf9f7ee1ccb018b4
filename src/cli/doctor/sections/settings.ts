import type { SettingInEffect } from '../../../config/config.js';
import type { Config } from '../../../config/variables.js';
import { describeStore } from '../../../app/open/store.js';
import type { Fact, Section } from '../report.js';

/** Text settings that are not secret. All others are hidden, so that a new setting is hidden by default. */
const SHOWN: ReadonlySet<keyof Config> = new Set([
  'console',
  'speculate',
  'host',
  'model',
  'modelName',
  'cache',
  'provider',
  'weights',
  'kv',
  'spin',
  'storeCa',
  'storeCert',
  'storeKey',
  'logLevel',
  'otlpProtocol',
  'tracesProtocol',
  'tracesExporter',
  'tracesSampler',
]);

/** Reports the settings in effect, and which of them the environment sets. */
export function examineSettings(config: Config, settings: readonly SettingInEffect[]): Section {
  const facts = settings.map((setting): [string, Fact] => [
    setting.variable,
    { value: withoutSecrets(config, setting), ...(setting.isSet && { why: 'set' }) },
  ]);
  return { name: 'settings', facts: Object.fromEntries(facts), problems: [] };
}

function withoutSecrets(
  { store, apiKeys, allowedHosts, allowedOrigins }: Config,
  { key, value }: SettingInEffect,
): Fact['value'] {
  if (value === undefined || value === null) return null;
  if (key === 'store') return describeStore(store);
  if (key === 'apiKeys')
    return apiKeys.length === 0 ? null : `keys of ${new Set(apiKeys.map(({ tenant }) => tenant)).size} tenants`;
  if (key === 'allowedHosts') return allowedHosts.join(',') || null;
  if (key === 'allowedOrigins') return allowedOrigins.join(',') || null;
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  return typeof value === 'string' && SHOWN.has(key) ? value : '(hidden)';
}
