import fs from 'node:fs/promises';
import path from 'node:path';

import { exists, makeDirectoryDurably, renameDurably, syncDirectory, writeDurably } from '../../disk/durable.js';
import type { Scratch } from '../../disk/scratch.js';
import type { PrefixInfo, PrefixUpload } from '../store.js';
import type { DirectoryKeys } from './directory-keys.js';
import { encodeNameFile, NAME_FILE, type NameFile, withVersion } from './name-file.js';
import { isWholeVersion, repairVersion, writeVersion } from './version-directory.js';

/** Changes of names' directories, each built in a scratch directory and renamed into place. One change of a name at a time. */
export class NameDirectories {
  /** @param keys remembers the names of tenants, and is told of changes */
  constructor(
    private readonly scratch: Scratch,
    private readonly keys: DirectoryKeys,
  ) {}

  /** Adds a name: its directory appears with its first version, by one rename. */
  async add(directory: string, upload: PrefixUpload): Promise<void> {
    await this.scratch.withDirectory(async (draft) => {
      await fs.mkdir(path.join(draft, upload.info.version));
      await writeVersion(path.join(draft, upload.info.version), upload);
      await writeDurably(path.join(draft, NAME_FILE), encodeNameFile(withVersion(undefined, upload.info)));
      await syncDirectory(draft);
      await makeDirectoryDurably(path.dirname(directory));
      await this.#change(directory, true, () => renameDurably(draft, directory));
    });
  }

  /**
   * Gives a name a version as its current one. The version's directory comes first: nobody looks for it until the name file lists it. It
   * may be there, when a process was killed before it replaced the name file, or when the version is uploaded again: then what is damaged
   * of it is written anew.
   */
  async setVersion(directory: string, names: NameFile, upload: PrefixUpload): Promise<void> {
    const target = path.join(directory, upload.info.version);
    if (!(await isWholeVersion(target, upload.info.version))) {
      await this.scratch.withDirectory(async (draft) => {
        await writeVersion(draft, upload);
        await ((await exists(target)) ? repairVersion(target, draft) : renameDurably(draft, target));
      });
    }
    await this.makeCurrent(directory, names, upload.info);
  }

  /** Makes a version that is there the current one. */
  async makeCurrent(directory: string, names: NameFile, info: PrefixInfo): Promise<PrefixInfo> {
    if (names.current === info.version) return info;
    await this.scratch.withDirectory(async (draft) => {
      await writeDurably(path.join(draft, NAME_FILE), encodeNameFile(withVersion(names, info)));
      await renameDurably(path.join(draft, NAME_FILE), path.join(directory, NAME_FILE));
    });
    return info;
  }

  /** Removes a name with all its versions. False when there is none. */
  async remove(directory: string): Promise<boolean> {
    const existed = await this.#change(directory, false, () => this.scratch.discard(directory));
    if (existed) await syncDirectory(path.dirname(directory));
    return existed;
  }

  #change<T>(directory: string, isThere: boolean, change: () => Promise<T>): Promise<T> {
    return this.keys.change(path.dirname(directory), path.basename(directory), isThere, change);
  }
}
