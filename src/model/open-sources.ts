import { CROSS, siteNamed } from '../prefix/kv.js';
import type { Session } from '../runtime/ort/session.js';
import type { Backend, BackendParts } from './backend/backend.js';
import { APPEND_CROSS, encodeNames } from './graph-names.js';
import type { SourceParts } from './onnx-runner.js';
import { slotPositions } from './slot-positions.js';

/** Opens an encoder-decoder's encoder, and makes its source slots, which the caller owns. */
export async function openSources(
  backend: Backend,
  { manifest: { shape }, kv }: BackendParts,
  slots: number,
): Promise<Omit<SourceParts, 'form'>> {
  const stages: Session[] = [];
  for (const name of encodeNames(shape)) stages.push(await backend.open(name));
  const append = await backend.open(APPEND_CROSS);
  const layout = { site: siteNamed(shape, CROSS), positions: slotPositions(shape).cross, slots, precision: kv };
  return { sessions: { stages, append }, arena: await backend.openArena(layout) };
}
