import { withPackedInitializers } from '../../onnx/packed-initializers.js';
import type { Runtime } from '../../runtime/ort/runtime.js';
import { Session, type SessionOptions } from '../../runtime/ort/session.js';
import { PACKED_FILE, type PackedFile } from './packed-file.js';

/**
 * Opens a graph whose packed weights are pages of a file. Where that fails, as when the file was removed since, the session packs them
 * into memory of its own.
 * @param options of a session that has no packed file
 */
export async function openPacked(
  runtime: Runtime,
  graph: Uint8Array,
  { directory, weights }: PackedFile,
  options: SessionOptions,
): Promise<Session> {
  try {
    const packed = withPackedInitializers(graph, PACKED_FILE, weights);
    return await Session.open(runtime, packed, { ...options, filesDirectory: directory });
  } catch {
    return Session.open(runtime, graph, options);
  }
}
