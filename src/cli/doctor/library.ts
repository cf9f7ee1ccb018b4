import path from 'node:path';

import { libraryPath, ONNXRUNTIME_VERSION } from '../../runtime/library.js';
import { Runtime } from '../../runtime/runtime.js';
import type { Section } from './report.js';

/** Whether ONNX Runtime can be loaded, and what it was built with. */
export function examineLibrary(): Section {
  try {
    const runtime = new Runtime({ threads: 1 });
    try {
      return {
        name: 'library',
        facts: {
          onnxruntime: { value: ONNXRUNTIME_VERSION },
          file: { value: path.basename(libraryPath()) },
          providers: { value: runtime.providers().join(', '), why: 'compiled in' },
        },
        problems: [],
      };
    } finally {
      runtime.dispose();
    }
  } catch (error) {
    const problem = `ONNX Runtime cannot be loaded: ${(error as Error).message}`;
    return {
      name: 'library',
      facts: {},
      problems: [{ problem, fix: 'Install the packages again: npm ci.', fatal: true }],
    };
  }
}
