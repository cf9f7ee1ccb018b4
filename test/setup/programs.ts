import path from 'node:path';

import type { TestProject } from 'vitest/node';

import { findProgram, type DebianProgram, type FoundProgram } from '../support/debian-program.js';
import { redisProgram, valkeyProgram } from '../support/redis-process.js';
import { findWheelProgram } from '../support/wheel-program.js';

/** Without a window, it is a third smaller than `chromium`. */
const headlessChromium: DebianProgram = {
  name: 'chromium-headless-shell',
  package: 'chromium-headless-shell',
  path: 'usr/lib/chromium/chromium-headless-shell',
};
/** Programs that were fetched stay here. */
const cache = path.resolve(import.meta.dirname, '../.cache');

declare module 'vitest' {
  interface ProvidedContext {
    /** `redis-server`. */
    redis: FoundProgram;
    openssl: FoundProgram;
    /** Null where there is none and none can be had: its tests are skipped. */
    valkey: FoundProgram | null;
    haproxy: FoundProgram | null;
    promtool: FoundProgram | null;
    chromium: FoundProgram | null;
  }
}

/** Finds the programs that tests start beside ours. */
export default async function setup({ provide }: TestProject): Promise<void> {
  provide('redis', await findProgram(redisProgram, cache));
  provide('openssl', await findProgram({ name: 'openssl', package: 'openssl', path: 'usr/bin/openssl' }, cache));
  provide('valkey', await ifAny(valkeyProgram.name, findWheelProgram(valkeyProgram, cache)));
  provide('haproxy', await findIfAny({ name: 'haproxy', package: 'haproxy', path: 'usr/sbin/haproxy' }));
  provide('promtool', await findIfAny({ name: 'promtool', package: 'prometheus', path: 'usr/bin/promtool' }));
  provide('chromium', await findIfAny(headlessChromium));
}

function findIfAny(wanted: DebianProgram): Promise<FoundProgram | null> {
  return ifAny(wanted.name, findProgram(wanted, cache));
}

async function ifAny(name: string, found: Promise<FoundProgram>): Promise<FoundProgram | null> {
  try {
    return await found;
  } catch {
    console.log(`There is no ${name} here, and none can be fetched: its tests are skipped.`);
    return null;
  }
}
