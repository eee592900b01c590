// What this process holds of the kernel's.
import { readdirSync, readlinkSync } from 'node:fs';

const list = (folder) => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};

/** Sockets, event descriptors and the like; not the files Node reads now and then. */
export function descriptors() {
  return list('/proc/self/fd').filter((fd) => {
    try {
      return /^(socket|anon_inode|pipe):/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch { // the one that listed the folder
      return false;
    }
  }).length;
}

export const threads = () => list('/proc/self/task').length;
