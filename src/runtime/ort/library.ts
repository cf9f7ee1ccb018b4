import { createRequire } from 'node:module';
import path from 'node:path';

/** The version of `onnxruntime-node` that the function table below was checked against. */
export const ONNXRUNTIME_VERSION = '1.30.0';

const FILE_NAMES: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'libonnxruntime.so.1',
  darwin: `libonnxruntime.${ONNXRUNTIME_VERSION}.dylib`,
  win32: 'onnxruntime.dll',
};

/** Path of the shared library that the installed `onnxruntime-node` ships for this platform. */
export function libraryPath(): string {
  const fileName = FILE_NAMES[process.platform];
  if (fileName === undefined) throw new Error(`onnxruntime-node has no library for platform ${process.platform}`);
  const main = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return path.join(path.dirname(main), 'bin', 'napi-v6', process.platform, process.arch, fileName);
}
