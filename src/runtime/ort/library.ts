import { createRequire } from 'node:module';
import path from 'node:path';

/** Version of `onnxruntime-node` that the function table in `api.ts` was checked against. */
export const ONNXRUNTIME_VERSION = '1.30.0';

const FILE_NAMES: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'libonnxruntime.so.1',
  darwin: `libonnxruntime.${ONNXRUNTIME_VERSION}.dylib`,
  win32: 'onnxruntime.dll',
};

/**
 * Path of ONNX Runtime's shared library in the installed `onnxruntime-node`. Throws for a platform that it does not
 * support.
 */
export function libraryPath(): string {
  const fileName = FILE_NAMES[process.platform];
  if (fileName === undefined) throw new Error(`onnxruntime-node has no library for platform ${process.platform}`);
  const main = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return path.join(path.dirname(main), 'bin', 'napi-v6', process.platform, process.arch, fileName);
}
