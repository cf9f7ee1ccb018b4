import fs from 'node:fs/promises';

const MiB = 2 ** 20;
/** `sysconf(_SC_CLK_TCK)` of every Linux. */
const TICKS_PER_SECOND = 100;

/** Resident memory of a process in MiB, all of it and by what backs it. */
export interface Resident {
  readonly total: number;
  /** Heaps, packed weights, keys and values. */
  readonly anonymous: number;
  /** Mapped files: weights, libraries, the program. A page that is mapped twice counts twice, as in `total`. */
  readonly file: number;
  /** All of it, each page divided by the number of its mappings (PSS): those of several processes add up to what they take. */
  readonly proportional: number;
}

/** Resident memory of a running process. @throws Error on a system without Linux's `/proc` */
export async function residentMemory(pid: number): Promise<Resident> {
  const [read, readShared] = await Promise.all([fieldsOf(pid, 'status'), fieldsOf(pid, 'smaps_rollup')]);
  const [total, anonymous, file] = [read('VmRSS'), read('RssAnon'), read('RssFile')];
  return { total, anonymous, file, proportional: readShared('Pss') };
}

/** Largest resident memory of a process since its start, MiB. @throws Error on a system without Linux's `/proc` */
export async function peakResident(pid: number): Promise<number> {
  return (await fieldsOf(pid, 'status'))('VmHWM');
}

/** CPU time of a process since its start, all threads, in seconds. @throws Error on a system without Linux's `/proc` */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the first of them is the third of the line
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Reader of the memory fields in a file of one process, in MiB. */
async function fieldsOf(pid: number, file: 'status' | 'smaps_rollup'): Promise<(field: string) => number> {
  const fields = await fs.readFile(`/proc/${pid}/${file}`, 'utf8');
  return (field) => {
    const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(fields)?.[1];
    if (kilobytes === undefined) throw new Error(`/proc/${pid}/${file} has no ${field}`);
    return (Number(kilobytes) * 1024) / MiB;
  };
}
