/** Problem with the content of a data file. */
export class DataError extends Error {
  override readonly name = 'DataError';

  /** @param where file, and line or entry */
  constructor(
    readonly where: string,
    readonly problem: string,
  ) {
    super(`${where}: ${problem}`);
  }
}
