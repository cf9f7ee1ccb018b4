import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';

import { ONNXRUNTIME_VERSION } from '../../runtime/ort/library.js';

/** The processor's instructions, as Linux lists them on x86 and on ARM. */
const INSTRUCTIONS = /^(?:flags|Features)\s*:.*$/m;

/** Names what packed weights depend on beside the weights: the library, and the processor, by whose instructions it chooses their layout. */
export async function packingKey(): Promise<string> {
  const cpus = await fs.readFile('/proc/cpuinfo', 'utf8').catch(() => ''); // Linux only; elsewhere the model's name has to do
  const parts = [
    ONNXRUNTIME_VERSION,
    process.platform,
    process.arch,
    os.cpus()[0]?.model,
    INSTRUCTIONS.exec(cpus)?.[0],
  ];
  return createHash('sha256').update(parts.join('\n')).digest('hex');
}
