/** Guards a native handle against use after disposal, which would crash the process. */
export class DisposeGuard {
  #disposed = false;

  constructor(private readonly what: string) {}

  /** Throws if the object was disposed. */
  check(): void {
    if (this.#disposed) throw new Error(`${this.what} was disposed`);
  }

  /** Marks the object as disposed. True only on the first call. */
  dispose(): boolean {
    const first = !this.#disposed;
    this.#disposed = true;
    return first;
  }
}
