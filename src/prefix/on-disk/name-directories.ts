import fs from 'node:fs/promises';
import path from 'node:path';

import { exists, makeDirectoryDurably, renameDurably, syncDirectory, writeDurably } from '../../disk/durable.js';
import type { Scratch } from '../../disk/scratch.js';
import type { PrefixUpload } from '../store.js';
import type { DirectoryKeys } from './directory-keys.js';
import { StoreError } from '../../lib/store-error.js';
import { PrefixError } from '../errors.js';
import {
  encodeNameFile,
  isAlone,
  NAME_FILE,
  type NameFile,
  readNameFile,
  rebuildNameFile,
  withVersion,
} from './name-file.js';
import { isWholeVersion, repairVersion, writeVersion } from './version-directory.js';

/** Names' directories: their files, and changes of them, each built in a scratch directory and renamed into place. One change of a name at a time. */
export class NameDirectories {
  /** @param keys remembers the names of tenants, and is told of changes */
  constructor(
    private readonly scratch: Scratch,
    private readonly keys: DirectoryKeys,
  ) {}

  /**
   * The name file of `name`; undefined when there is none, or when the directory belongs to another name. Throws `prefix_damaged`, and a
   * `StoreError` when the store has vanished.
   */
  async read(directory: string, name: string): Promise<NameFile | undefined> {
    const names = await readNameFile(path.join(directory, NAME_FILE));
    if (names !== undefined) return names.name === name ? names : undefined;
    if (await exists(directory))
      throw new PrefixError('prefix_damaged', 'name: the stored record of this prefix is missing');
    await this.checkThere();
    return undefined;
  }

  /** As `read`, with a damaged or missing name file made anew. */
  async readToChange(
    directory: string,
    name: string,
  ): Promise<{ readonly names: NameFile | undefined; readonly isRebuilt: boolean }> {
    try {
      return { names: await this.read(directory, name), isRebuilt: false };
    } catch (error) {
      if (!(error instanceof PrefixError)) throw error;
      return { names: await rebuildNameFile(directory, name), isRebuilt: true };
    }
  }

  /**
   * The name file of a directory; undefined when it vanished or is damaged, so that a damaged name does not hide the
   * others.
   */
  async readUndamaged(directory: string): Promise<NameFile | undefined> {
    try {
      return await readNameFile(path.join(directory, NAME_FILE));
    } catch (error) {
      if (error instanceof PrefixError) return undefined;
      throw error;
    }
  }

  /** Throws `StoreError` when the store's directory has vanished: nothing is there then, yet nothing was deleted. */
  async checkThere(): Promise<void> {
    if (await this.scratch.isGone()) throw new StoreError('prefixes', 'unavailable');
  }

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
   * Gives a name a version, as its current one unless it is a standby. The version's directory comes first: nobody looks for it until the
   * name file lists it. It may be there, when a process was killed before it replaced the name file, or when the version is uploaded again:
   * then what is damaged of it is written anew.
   */
  async setVersion(directory: string, names: NameFile, upload: PrefixUpload): Promise<void> {
    const target = path.join(directory, upload.info.version);
    if (!(await isWholeVersion(target, upload.info.version))) {
      await this.scratch.withDirectory(async (draft) => {
        await writeVersion(draft, upload);
        await ((await exists(target)) ? repairVersion(target, draft) : renameDurably(draft, target));
      });
    }
    if (!isAlone(names, upload.info.version))
      await this.replace(directory, withVersion(names, upload.info, upload.standby));
  }

  /** Replaces a name's file. Its versions must be there. */
  async replace(directory: string, names: NameFile): Promise<void> {
    await this.scratch.withDirectory(async (draft) => {
      await writeDurably(path.join(draft, NAME_FILE), encodeNameFile(names));
      await renameDurably(path.join(draft, NAME_FILE), path.join(directory, NAME_FILE));
    });
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
