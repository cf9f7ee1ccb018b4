import { readConfig, settingsInEffect } from '../../config/config.js';
import { ConfigError } from '../../config/error.js';
import type { Config } from '../../config/variables.js';
import { readCores } from '../../config/cores.js';
import { examineAddress } from './sections/address.js';
import { examineChoices } from './sections/choices.js';
import { examineLibrary } from './sections/library.js';
import { examineMachine } from './sections/machine.js';
import { measure, type Measured } from './measure/measure.js';
import { examineModel } from './sections/model.js';
import type { Section } from './report.js';
import { examineSettings } from './sections/settings.js';
import { examineStore } from './sections/store.js';

/** The result of all checks. */
export interface Examination {
  readonly sections: readonly Section[];
  /** Times the model; undefined when there is none that can be served. */
  readonly measureModel: ((log: (line: string) => void) => Promise<Measured>) | undefined;
}

/** Examines everything that a start needs. Changes nothing: compiles no model and writes to no store. */
export async function examine(): Promise<Examination> {
  const cores = readCores();
  const config = tryReadConfig();
  const isRefused = config instanceof ConfigError;
  const start = [examineMachine(cores), await examineLibrary(isRefused ? undefined : config.provider)];
  if (isRefused) return { sections: [...start, refused(config)], measureModel: undefined };
  const settings = settingsInEffect(config);
  const { section, model } = await examineModel(config);
  const sections = [
    ...start,
    section,
    examineChoices(settings, cores, model),
    await examineStore(config.store, config),
    await examineAddress(config),
    examineSettings(config, settings),
  ];
  return { sections, measureModel: model && ((log) => measure(config, cores, log)) };
}

function tryReadConfig(): Config | ConfigError {
  try {
    return readConfig();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

/** The section for a setting that is refused. The others are not shown: they mean nothing while one is wrong. */
function refused({ message, variable }: ConfigError): Section {
  const fix = `Change ${variable} or leave it out; docs/settings.md says what it takes.`;
  return { name: 'settings', facts: {}, problems: [{ problem: message, fix, fatal: true }] };
}
