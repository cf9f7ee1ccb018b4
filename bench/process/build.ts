import path from 'node:path';

import { packageRoot } from '#src/config/paths.js';

/** A checkout of this repository whose `dist` is built. */
export interface Build {
  /** `this`, or the short hash of another commit. */
  readonly name: string;
  readonly directory: string;
}

/** The checkout that the bench itself belongs to. */
export const thisBuild: Build = { name: 'this', directory: packageRoot };

/** The script that serves. */
export function mainOf({ directory }: Build): string {
  return path.join(directory, 'dist/main.js');
}

/** The script of the command line. */
export function commandLineOf({ directory }: Build): string {
  return path.join(directory, 'dist/cli/main.js');
}
