import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';

const CPUS = '/sys/devices/system/cpu';

/** Cores of the machine, and how many of them this process may use. */
export interface Cores {
  /** Hardware threads of the machine. */
  readonly logical: number;
  /** Cores of the machine; undefined where the system does not tell. */
  readonly physical: number | undefined;
  /** Hardware threads that the scheduler's affinity leaves to this process. */
  readonly allowed: number;
  /** CPUs that the control group grants; infinity without a limit. */
  readonly quota: number;
}

/** Reads the numbers of cores from the system. */
export function readCores(): Cores {
  return {
    logical: cpus().length,
    physical: coresOfMachine(),
    allowed: availableParallelism(),
    quota: cgroupQuota(),
  };
}

/**
 * Number of physical cores that this process may use, within the scheduler's affinity and the container's quota; at least 1.
 * Hyper-threads are not counted: they share one multiplier, so they slow a step down rather than speed it up.
 */
export function physicalCores({ physical, allowed, quota }: Cores = readCores()): number {
  const granted = Math.min(allowed, quota);
  return Math.max(1, Math.min(physical ?? granted, Math.ceil(granted)));
}

function coresOfMachine(): number | undefined {
  if (process.platform === 'linux') return siblingGroups();
  if (process.platform === 'darwin') return sysctl('hw.physicalcpu');
  return undefined;
}

/** The number of physical cores on Linux. The hardware threads of one core have the same list of siblings: distinct lists are counted. */
function siblingGroups(): number | undefined {
  try {
    const names = readdirSync(CPUS).filter((name) => /^cpu\d+$/.test(name));
    const groups = names.map((cpu) => read(`${CPUS}/${cpu}/topology/thread_siblings_list`)).filter(Boolean);
    return new Set(groups).size || undefined;
  } catch {
    return undefined;
  }
}

function sysctl(name: string): number | undefined {
  try {
    return Number(execFileSync('sysctl', ['-n', name], { encoding: 'utf8' })) || undefined;
  } catch {
    return undefined;
  }
}

/** CPUs that the control group grants (version 2's `cpu.max`, else version 1's quota); infinity without a limit. */
function cgroupQuota(): number {
  const [quota, period] = read('/sys/fs/cgroup/cpu.max')?.split(' ') ?? [
    read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'),
    read('/sys/fs/cgroup/cpu/cpu.cfs_period_us'),
  ];
  const cpus = Number(quota) / Number(period);
  return cpus > 0 ? cpus : Infinity;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
