// @ts-check
// Starts, tests and measures a fresh clone: installs and builds what is missing first.
// Plain JavaScript without dependencies, because it runs before there are any.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/**
 * @typedef {{ status: string, assertionResults: { status: string }[] }} FileResult
 * @typedef {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number, testResults: FileResult[] }} Results
 * @typedef {Record<string, { integrity?: string, optional?: boolean }>} Packages
 */

/** Names of files that something is built from. */
const SOURCE = /[.](ts|tsx|css|html|svg)$/;

/** @type {Record<string, (args: string[]) => void | Promise<void>>} */
const commands = { start, test, bench };

requireNode(20, 19);
const [name = '', ...rest] = process.argv.slice(2);
const command = commands[name];
if (!command) stop(`usage: node scripts/run.mjs ${Object.keys(commands).join('|')} [arguments]`, 2);
await command(rest);

/**
 * Serves in this very process, so that signals and the exit status are the server's own.
 * @param {string[]} args
 */
async function start(args) {
  install();
  if (!buildProgram()) stop('The build failed; the errors are above.');
  await run('dist/main.js', args);
}

/** @param {string[]} args */
async function bench(args) {
  install();
  // The benchmark imports `#src/...`, which package.json leads to dist: it measures what is shipped.
  const built = buildProgram() && build('bench/tsconfig.json', 'bench/.cache/build', ['src', 'bench', 'test/support']);
  if (!built) stop('The build failed; the errors are above.');
  await run('bench/.cache/build/bench/main.js', args);
}

/**
 * Runs every check even when one fails; the last line sums them up.
 * @param {string[]} args for Vitest
 */
function test(args) {
  install();
  const checks = [
    check('Format', 'prettier/bin/prettier.cjs', ['--check', '.']),
    check('Lint', 'eslint/bin/eslint.js', ['--max-warnings=0', '.']),
    check('Types', 'typescript/bin/tsc', ['-p', 'test/tsconfig.json']),
    check('Types of the console', 'typescript/bin/tsc', ['-p', 'console/tsconfig.json']),
    check('Imports', 'dependency-cruiser/bin/dependency-cruise.mjs', [
      ...['--config', '.dependency-cruiser.mjs'],
      ...['src', 'console'],
    ]),
    check('Unused', 'knip/bin/knip.js', []),
  ];
  heading('Tests');
  buildProgram(); // some tests run the command line; a failure here is one of Types too
  const tests = vitest(args);
  const passed = checks.filter(Boolean).length + tests.passed;
  const failed = checks.filter((ok) => !ok).length + tests.failed;
  process.exitCode = failed > 0 ? 1 : 0;
  console.log(`\n${passed} passed, ${failed} failed${tests.skipped > 0 ? `, ${tests.skipped} skipped` : ''}`);
}

/** @param {string} title @param {string} script in node_modules @param {string[]} args */
function check(title, script, args) {
  heading(title);
  const ok = tool(path.join('node_modules', script), args) === 0;
  console.log(ok ? 'ok' : 'FAILED');
  return ok;
}

/** @param {string[]} args */
function vitest(args) {
  const scratch = mkdtempSync(path.join(tmpdir(), 'preamble-test-'));
  try {
    const file = path.join(scratch, 'results.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const status = tool('node_modules/vitest/vitest.mjs', ['run', ...reporters, ...args]);
    return count(status, /** @type {Results | undefined} */ (readJson(file)));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * A file that does not load, and a run that fails for any other reason, count as one failed test each.
 * @param {number} status
 * @param {Results | undefined} results Vitest's JSON report
 */
function count(status, results) {
  if (!results) return { passed: 0, failed: 1, skipped: 0 };
  const hasFailure = (/** @type {FileResult} */ file) => file.assertionResults.some((test) => test.status === 'failed');
  const unloaded = results.testResults.filter((file) => file.status === 'failed' && !hasFailure(file));
  const failed = results.numFailedTests + unloaded.length;
  return {
    passed: results.numPassedTests,
    failed: status !== 0 && failed === 0 ? 1 : failed,
    skipped: results.numPendingTests + results.numTodoTests,
  };
}

/** Installs the locked packages unless they are there. */
function install() {
  if (isInstalled()) return;
  console.log('Installing dependencies ...');
  if (nodeVersion()[0] < 22)
    console.log(`Node.js ${process.versions.node} is past its end and still works; 22 and 24 are supported.`);
  // Flags win over the user's own npm settings and over NODE_ENV, which could leave out what this needs.
  const flags = [
    '--include=prod',
    '--include=dev',
    '--include=optional',
    '--include=peer',
    '--install-strategy=hoisted',
  ];
  flags.push(
    '--ignore-scripts',
    '--package-lock',
    '--no-global',
    '--no-dry-run',
    '--no-engine-strict',
    '--no-audit',
    '--no-fund',
    '--loglevel=error', // without warnings: on Node.js 20 there are ten lines of them
  );
  const [npm, ...first] = npmCommand();
  const { status, error } = spawnSync(/** @type {string} */ (npm), [...first, 'ci', ...flags], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: npm === 'npm' && process.platform === 'win32',
  });
  if (error) stop(`npm could not be run: ${error.message}`);
  if (status !== 0) stop(`npm ci failed with status ${status}; its messages are above.`);
}

/** The npm that runs this script, else the one on the path. */
function npmCommand() {
  const running = process.env['npm_execpath'];
  return running && path.basename(running) === 'npm-cli.js' ? [process.execPath, running] : ['npm'];
}

/** Whether node_modules holds the lockfile's packages; npm writes its own list last, when an install is whole. */
function isInstalled() {
  const locked = packagesOf('package-lock.json');
  const installed = packagesOf('node_modules/.package-lock.json');
  return Object.entries(locked).every(([at, { integrity, optional }]) => {
    const found = installed[at];
    return at === '' || (found ? found.integrity === integrity : optional);
  });
}

/** @param {string} lockfile @returns {Packages} none when it is missing */
function packagesOf(lockfile) {
  const content = /** @type {{ packages?: Packages } | undefined} */ (readJson(path.join(root, lockfile)));
  return content?.packages ?? {};
}

/** Builds what processes run, as `npm run build` does. */
function buildProgram() {
  return build('tsconfig.json', 'dist', ['src', 'console'], ['scripts/bundle.mjs', 'scripts/console.mjs']);
}

/**
 * Compiles a TypeScript project unless the sources are those of the last build.
 * @param {string} project
 * @param {string} output
 * @param {string[]} folders
 * @param {string[]} bundles the scripts that make the rest of it, in this order
 */
function build(project, output, folders, bundles = []) {
  const stamp = path.join(root, output, '.sources');
  const files = ['package-lock.json', 'tsconfig.json', project, ...bundles];
  const sources = hashSources(files, folders);
  if (readText(stamp) === sources) return true;
  console.log('Building ...');
  if (tool('node_modules/typescript/bin/tsc', ['-p', project]) !== 0) return false;
  for (const bundle of bundles) if (tool(bundle, []) !== 0) return false;
  writeFileSync(stamp, sources);
  return true;
}

/** @param {string[]} files @param {string[]} folders */
function hashSources(files, folders) {
  const sources = folders
    .flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
        path.join(folder, file),
      ),
    )
    .filter((file) => SOURCE.test(file) && !file.includes('.cache'))
    .sort();
  const hash = createHash('sha256');
  for (const file of [...files, ...sources]) hash.update(`${file}\0`).update(readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

/** @param {string} script of the repository @param {string[]} args */
function tool(script, args) {
  const { status, error } = spawnSync(process.execPath, [path.join(root, script), ...args], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, NODE_ENV: 'test' },
  });
  if (error) console.error(error.message);
  return status ?? 1;
}

/** @param {string} script @param {string[]} args */
async function run(script, args) {
  const file = path.join(root, script);
  process.argv = [process.execPath, file, ...args];
  await import(pathToFileURL(file).href);
}

/** @param {string} title */
function heading(title) {
  console.log(`\n== ${title} ==`);
}

/** @param {string} file */
function readText(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** @param {string} file @returns {unknown} undefined when it cannot be read */
function readJson(file) {
  try {
    return JSON.parse(readText(file) ?? '');
  } catch {
    return undefined;
  }
}

/** @param {number} major @param {number} minor */
function requireNode(major, minor) {
  const [x, y] = nodeVersion();
  if (x < major || (x === major && y < minor)) {
    stop(`Preamble needs Node.js ${major}.${minor} or later; this is ${process.versions.node}.`);
  }
}

/** Major and minor. @returns {[number, number]} */
function nodeVersion() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return [major, minor];
}

/** @param {string} message @returns {never} */
function stop(message, status = 1) {
  console.error(message);
  process.exit(status);
}
