import fs from 'node:fs/promises';

const MiB = 2 ** 20;
/** `sysconf(_SC_CLK_TCK)` of every Linux. */
const TICKS_PER_SECOND = 100;

/** Resident memory of a process in MiB, all of it and by what backs it. */
export interface Resident {
  readonly total: number;
  /** Heaps, packed weights, keys and values. */
  readonly anonymous: number;
  /** Mapped files: weights, libraries, the program. */
  readonly file: number;
}

/** Resident memory of a running process. @throws Error on a system without Linux's `/proc` */
export async function residentMemory(pid: number): Promise<Resident> {
  const read = await statusOf(pid);
  return { total: read('VmRSS'), anonymous: read('RssAnon'), file: read('RssFile') };
}

/** Largest resident memory of a process since its start, MiB. @throws Error on a system without Linux's `/proc` */
export async function peakResident(pid: number): Promise<number> {
  return (await statusOf(pid))('VmHWM');
}

/** CPU time of a process since its start, all threads, in seconds. @throws Error on a system without Linux's `/proc` */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the first of them is the third of the line
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Reader of one process's memory fields, in MiB. */
async function statusOf(pid: number): Promise<(field: string) => number> {
  const status = await fs.readFile(`/proc/${pid}/status`, 'utf8');
  return (field) => {
    const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1];
    if (kilobytes === undefined) throw new Error(`/proc/${pid}/status has no ${field}`);
    return (Number(kilobytes) * 1024) / MiB;
  };
}
