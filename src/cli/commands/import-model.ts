import { resolve } from 'node:path';

import type { Command } from 'commander';

import { readSettings } from '../../config/config.js';
import { precisions } from '../../config/rules.js';
import { compileProgress } from '../../app/compile-progress.js';
import { printModelWarnings } from '../../app/model-warnings.js';
import { print, type Io } from '../io.js';

/** `preamble import-model DIR`. */
export function addImportModel(program: Command, io: Io): void {
  program
    .command('import-model')
    .description(
      'Compile a Hugging Face GPT-2, BART, Llama, Mistral or Qwen directory into PREAMBLE_CACHE, as the first start with it and with PREAMBLE_WEIGHTS would.',
    )
    .argument('<dir>', 'checkpoint directory; it is not written to')
    .option('--json', 'print one line of JSON')
    .action(async (dir: string, { json }: { json?: boolean }) => {
      const { rethrowAs, rethrowNaming } = await import('../../app/open/model.js');
      const { openTokenizer } = await import('../../app/open/tokenizer.js');
      const { compileModel, readManifest } = await import('../../model/compile/compiled-model.js');
      const onProgress = compileProgress(io.stderr);
      const config = readSettings(['model']);
      const { weights, int8 } = precisions(config);
      const options = { source: resolve(dir), cache: config.cache, weights, int8, onProgress };
      const directory = await openTokenizer(options.source) // a wrong one is refused before compiling
        .then(() => compileModel(options))
        .catch(rethrowNaming(config))
        .catch(rethrowAs('<dir>'));
      const warnings = (await readManifest(directory))?.warnings ?? [];
      printModelWarnings(io.stderr, warnings);
      print(io, json ? JSON.stringify({ directory, warnings }) : `compiled: ${directory}`);
    });
}
