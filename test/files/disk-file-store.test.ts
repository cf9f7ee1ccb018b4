import { DiskFileStore } from '../../src/files/disk-file-store.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { describeFileStore } from './file-store-contract.js';

describeFileStore('the store on disk', async () => {
  const directory = await temporaryDirectory();
  return () => DiskFileStore.open(directory);
});
