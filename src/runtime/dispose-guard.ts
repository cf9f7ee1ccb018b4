/** Keeps a disposed object from being used: its native handle is gone, and using it would be a crash. */
export class DisposeGuard {
  #disposed = false;

  constructor(private readonly what: string) {}

  /** Throws when the object was disposed. */
  check(): void {
    if (this.#disposed) throw new Error(`${this.what} was disposed`);
  }

  /** True the first time. */
  dispose(): boolean {
    const first = !this.#disposed;
    this.#disposed = true;
    return first;
  }
}
