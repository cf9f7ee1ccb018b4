/** A request that the server refused, or failed at. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure';

  constructor(
    readonly status: number,
    message: string,
    /** The server's own code of the error; empty where the answer is not the server's. */
    readonly code: string,
    /** The field of the request that is at fault. */
    readonly param: string | null,
  ) {
    super(message);
  }
}

/** The server did not answer, or its answer broke off. */
export class ServerAway extends Error {
  override readonly name = 'ServerAway';

  constructor(message = 'The server does not answer.') {
    super(message);
  }
}

/** What a person is told of an error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
