/** Resources in the order in which they were made; released in the opposite one. */
export class DisposableStack {
  readonly #resources: { dispose(): void | Promise<void> }[] = [];

  /** Takes over a resource, and returns it. */
  use<T extends { dispose(): void | Promise<void> }>(resource: T): T {
    this.#resources.push(resource);
    return resource;
  }

  async dispose(): Promise<void> {
    for (let last = this.#resources.pop(); last !== undefined; last = this.#resources.pop()) await last.dispose();
  }
}
