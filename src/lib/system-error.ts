/** The operating system's own error, such as a file that is missing or an address in use; undefined for any other. */
export function systemError(error: unknown): NodeJS.ErrnoException | undefined {
  return error instanceof Error && 'syscall' in error ? (error as NodeJS.ErrnoException) : undefined;
}
