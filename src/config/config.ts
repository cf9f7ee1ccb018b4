import { ConfigError } from './error.js';
import { type Context, store, type StoreLocation } from './parsers.js';
import { checkRules } from './rules.js';
import { readVariable, type Variable } from './variable.js';
import { type Config, groups, type SettingGroup, type Settings, variables } from './variables.js';

/**
 * Reads the settings of some groups from the environment. An empty variable counts as absent. Values of other groups may be bad.
 * @throws ConfigError naming the first variable that is unknown or has a bad value
 */
export function readSettings<const G extends SettingGroup>(
  wanted: readonly G[],
  env: NodeJS.ProcessEnv = process.env,
  cwd: string = process.cwd(),
): Settings<G> {
  refuseUnknown(env);
  const entries = wanted
    .flatMap((group) => Object.entries<Variable<unknown>>(groups[group]))
    .map(([key, variable]) => [key, readVariable(variable, env, { cwd })]);
  const settings = Object.fromEntries(entries) as Settings<G>;
  checkRules(settings);
  return Object.freeze(settings);
}

/** Reads the settings of all groups, as `readSettings`. */
export function readConfig(env: NodeJS.ProcessEnv = process.env, cwd: string = process.cwd()): Config {
  return readSettings(Object.keys(groups) as SettingGroup[], env, cwd);
}

/** One setting as it is in effect. The value may be a secret. */
export interface SettingInEffect {
  readonly variable: string;
  readonly key: keyof Config;
  readonly value: Config[keyof Config];
  /** Whether the environment sets it. */
  readonly isSet: boolean;
}

/** All settings of a configuration that was read from `env`, group by group. */
export function settingsInEffect(config: Config, env: NodeJS.ProcessEnv = process.env): SettingInEffect[] {
  return (Object.keys(variables) as (keyof Config)[]).map((key) => {
    const variable = variables[key].name;
    return { variable, key, value: config[key], isSet: (env[variable] ?? '') !== '' };
  });
}

/** The key of the first pair in PREAMBLE_API_KEYS, for a client on this machine. */
export function readClientKey(env: NodeJS.ProcessEnv = process.env): string | undefined {
  return readVariable(variables.apiKeys, env, here())[0]?.key;
}

/** PREAMBLE_ADMIN_KEY, for a client on this machine. */
export function readAdminKey(env: NodeJS.ProcessEnv = process.env): string | undefined {
  return readVariable(variables.adminKey, env, here());
}

/**
 * Parses the location of a store of prefixes from a command line.
 * @throws ConfigError naming `argument`
 */
export function parseStore(argument: string, given: string): StoreLocation {
  try {
    return store(given, here());
  } catch (error) {
    throw new ConfigError(argument, (error as Error).message);
  }
}

/** The settings of an empty environment, for tests to build on. */
export function defaultConfig(): Config {
  return readConfig({});
}

/**
 * Refuses unknown variables whose name begins with PREAMBLE_: a misspelt setting would silently do nothing.
 * @throws ConfigError
 */
export function refuseUnknown(env: NodeJS.ProcessEnv = process.env): void {
  const known = new Set(Object.values(variables).map(({ name }) => name));
  const unknown = Object.keys(env).find((name) => name.startsWith('PREAMBLE_') && !known.has(name));
  if (unknown) throw new ConfigError(unknown, 'no such setting');
}

function here(): Context {
  return { cwd: process.cwd() };
}
