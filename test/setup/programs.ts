import type { TestProject } from 'vitest/node';

import { findProgram, type DebianProgram, type FoundProgram } from './debian-program.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** `redis-server`. */
    redis: FoundProgram;
    /** Null where there is none and none can be had: its tests are skipped. */
    haproxy: FoundProgram | null;
    promtool: FoundProgram | null;
  }
}

/** Finds the programs that tests start beside ours. */
export default async function setup({ provide }: TestProject): Promise<void> {
  // In Debian the server of Redis is a name of this program.
  const redis = {
    name: 'redis-server',
    package: 'redis-tools',
    path: 'usr/bin/redis-server',
    linkTo: 'redis-check-rdb',
  };
  provide('redis', await findProgram(redis));
  provide('haproxy', await findIfAny({ name: 'haproxy', package: 'haproxy', path: 'usr/sbin/haproxy' }));
  provide('promtool', await findIfAny({ name: 'promtool', package: 'prometheus', path: 'usr/bin/promtool' }));
}

async function findIfAny(wanted: DebianProgram): Promise<FoundProgram | null> {
  try {
    return await findProgram(wanted);
  } catch {
    console.log(`There is no ${wanted.name}, and Debian's archive does not give it: its tests are skipped.`);
    return null;
  }
}
