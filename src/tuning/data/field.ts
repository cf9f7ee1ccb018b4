import { DataError } from './data-error.js';

/** A value of a JSON document, with its place there for errors: each method throws `DataError` for a value of another kind. */
export class Field {
  /**
   * @param where the document: a file and its line or entry
   * @param path the value's place in it; the document itself unless given
   */
  constructor(
    readonly value: unknown,
    readonly where: string,
    readonly path = '',
  ) {}

  static parse(text: string, where: string): Field {
    try {
      return new Field(JSON.parse(text), where);
    } catch {
      throw new DataError(where, 'not JSON');
    }
  }

  has(key: string): boolean {
    return key in this.#object();
  }

  get(key: string): Field {
    return new Field(this.#object()[key], this.where, this.path === '' ? key : `${this.path}.${key}`);
  }

  keys(): string[] {
    return Object.keys(this.#object());
  }

  items(): Field[] {
    if (!Array.isArray(this.value)) throw this.refuse('not an array');
    return this.value.map((item, index) => new Field(item, this.where, `${this.path}[${index}]`));
  }

  string(): string {
    if (typeof this.value !== 'string') throw this.refuse('not a string');
    return this.value;
  }

  /** The error for a value that is `what`. */
  refuse(what: string): DataError {
    return new DataError(this.where, this.path === '' ? what : `${this.path} is ${what}`);
  }

  #object(): Record<string, unknown> {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.refuse('not an object');
    return value as Record<string, unknown>;
  }
}
