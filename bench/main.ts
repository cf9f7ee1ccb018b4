import fs from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { createApp, type App } from '#src/app.js';
import { packageRoot, readConfig } from '#src/config.js';
import { Engine } from '#src/engine/engine.js';
import { compileProgress } from '#src/progress.js';
import { Tokenizer } from '#src/tokenizer/tokenizer.js';
import { type Options, readOptions, USAGE } from './options.js';
import { randomModel } from './random-model.js';
import { environment, type Result, table } from './report.js';
import { engineTarget, serverTarget, type Target, uploadPrefix } from './targets.js';
import { randomPrefix, type Rates, userName, workload } from './workload.js';

const bench = path.join(packageRoot, 'bench');

await main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) console.log(USAGE);
  else await run(options);
}

async function run(options: Options): Promise<void> {
  const store = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-bench-'));
  const app = await openApp(options, store);
  try {
    const results = await measure(await openTargets(app, options), options);
    console.log(`\n${table(results)}\n`);
    await save({ environment: environment(), options, results });
  } finally {
    await app.close();
    await fs.rm(store, { recursive: true });
  }
}

async function openApp({ rows, threads }: Options, store: string): Promise<App> {
  console.log('Model: a random GPT-2 of 12 layers, 768 wide, 12 heads, context 1024, vocabulary 50257');
  const cache = path.join(bench, '.cache');
  const config = readConfig({
    PREAMBLE_MODEL: await randomModel(cache),
    PREAMBLE_CACHE: path.join(cache, 'compiled'),
    PREAMBLE_STORE: `file:${store}`,
    PREAMBLE_SLOTS: String(Math.max(...rows)),
    PREAMBLE_LOG_LEVEL: 'silent',
    ...(threads !== undefined && { PREAMBLE_THREADS: String(threads) }),
  });
  const app = await createApp(config, { onProgress: compileProgress(process.stderr) });
  await app.server.app.listen({ host: '127.0.0.1', port: 0 });
  return app;
}

/** The server and a second engine on the same model: they take turns, so the runner never serves both at once. */
async function openTargets({ model, server }: App, { rows }: Options): Promise<Map<string, Target>> {
  const { port } = server.app.server.address() as AddressInfo;
  const address = `http://127.0.0.1:${port}`;
  const users = Array.from({ length: Math.max(...rows) }, (_, row) => userName(row));
  const columns = model.base.layers * 2 * model.base.width;
  const prefixes = new Map(users.map((user) => [user, randomPrefix(user, columns)]));
  for (const [user, prefix] of prefixes) await uploadPrefix(address, user, prefix);
  const tokenizer = await Tokenizer.load(model.tokenizerDirectory);
  const engine = new Engine({ runner: model.runner, tokenizer, eosTokenIds: model.eosTokenIds });
  return new Map([
    ['engine', engineTarget(engine, prefixes)],
    ['server', serverTarget(address)],
  ]);
}

/** Repeats go round all sizes and targets, so that a slow minute of the machine hits them alike. Round 0 warms up. */
async function measure(targets: ReadonlyMap<string, Target>, options: Options): Promise<Result[]> {
  const runs = new Map<string, Rates[]>();
  for (let round = 0; round <= options.repeats; round++) {
    for (const rows of options.rows) {
      const requests = workload(rows, options.context, options.tokens);
      // Who goes first changes from round to round.
      for (const [name, target] of round % 2 ? [...targets].reverse() : targets) {
        const result = await target(requests);
        console.log(
          `${round === 0 ? 'warm-up' : `round ${round}`}  ${rows} rows  ${name}  ${result.decode.toFixed(1)} tok/s`,
        );
        if (round > 0) runs.set(`${rows} ${name}`, [...(runs.get(`${rows} ${name}`) ?? []), result]);
      }
    }
  }
  return options.rows.flatMap((rows) =>
    [...targets.keys()].map((target) => ({ target, rows, runs: runs.get(`${rows} ${target}`) ?? [] })),
  );
}

async function save(report: object): Promise<void> {
  const directory = path.join(bench, 'results');
  await fs.mkdir(directory, { recursive: true });
  const file = path.join(directory, `${new Date().toISOString().replaceAll(':', '-')}.json`);
  await fs.writeFile(file, `${JSON.stringify(report, undefined, 2)}\n`);
  console.log(`Written to ${path.relative(packageRoot, file)}`);
}
