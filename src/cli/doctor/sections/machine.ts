import os from 'node:os';

import type { Cores } from '../../../config/cores.js';
import type { Section } from '../report.js';

/** Reports the machine's resources and the limits of this process. */
export function examineMachine({ logical, physical, allowed, quota }: Cores): Section {
  return {
    name: 'machine',
    facts: {
      node: { value: process.version },
      platform: { value: `${process.platform} ${process.arch}`, why: os.release() },
      cpu: { value: os.cpus()[0]?.model.trim() ?? null },
      logical_cores: { value: logical },
      physical_cores: {
        value: physical ?? null,
        ...(physical === undefined && { why: 'this system does not tell' }),
      },
      usable_cores: { value: allowed, why: 'by the affinity of this process' },
      cpu_quota: { value: quota === Infinity ? null : quota, why: 'of the control group' },
      memory_bytes: { value: os.totalmem() },
      available_memory_bytes: { value: process.availableMemory(), why: 'within the limits of this process' },
    },
    problems: [],
  };
}
