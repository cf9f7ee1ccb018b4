import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { base } from './harness.js';
import { temporaryDirectory } from './prefix-library.js';
import { describeVersions } from './versions-contract.js';

describeVersions('on disk', async () => {
  const store = await DiskPrefixStore.open(await temporaryDirectory(), base.fingerprint);
  return [store, store];
});
