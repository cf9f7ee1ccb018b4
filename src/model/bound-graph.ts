import type { Binding, Session } from '../runtime/ort/session.js';

/** A session and the binding of its inputs and outputs. */
export interface BoundGraph {
  readonly session: Session;
  readonly binding: Binding;
}

/** Makes a binding for a session; whoever asks disposes of it. */
export function bindGraph(session: Session): BoundGraph {
  return { session, binding: session.bind() };
}
