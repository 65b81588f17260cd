/**
 * Where the driver keeps what belongs to one VM:
 *
 *   <root>/<key>/            ours alone
 *     process.json           which process runs it
 *     console.log, qemu.log  what the guest and what QEMU have written
 *     run/                   belongs to the VM's user; QEMU starts here and makes its sockets here
 *
 * QEMU is given the files above it as open descriptors, so that one that was taken over can put
 * nothing of its own (a symbolic link, say) where the agent reads or writes.
 */
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { uuidFrom } from '../../std/uuid.js';

export interface VmDirectory {
  /** Names the VM to QEMU and in paths. */
  readonly key: string;
  readonly path: string;
  readonly runDir: string;
  readonly consoleLog: string;
  readonly qemuLog: string;
  readonly processNote: string;
}

/** A UUID that is random (version 4) or begins with its time (7), as it is always printed. */
const GIVEN_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * A UUID for any VM id: the id itself if it is a UUID as the control plane gives them out
 * for VMs; else one of version 8 that follows from the id. As the versions differ, nobody can choose
 * an id that takes the key of another VM.
 */
export const vmKeyOf = (vmId: string): string => (GIVEN_UUID.test(vmId) ? vmId : uuidFrom(vmId));

/**
 * Agents of before knew no ids of version 7 and called such VMs by a UUID that follows from the id. A VM
 * that is called so stays what it is as long as it is here.
 */
function keyIn(root: string, vmId: string): string {
  const earlier = uuidFrom(vmId);
  return existsSync(join(root, earlier)) ? earlier : vmKeyOf(vmId);
}

export function vmDirectoryOf(root: string, vmId: string): VmDirectory {
  const key = keyIn(root, vmId);
  const path = join(root, key);
  return {
    key,
    path,
    runDir: join(path, 'run'),
    consoleLog: join(path, 'console.log'),
    qemuLog: join(path, 'qemu.log'),
    processNote: join(path, 'process.json'),
  };
}

/** @param owner of the part in which QEMU may write; null when it runs as we do */
export async function makeVmDirectory(
  { path, runDir }: VmDirectory,
  owner: { readonly uid: number; readonly gid: number } | null,
): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await mkdir(runDir, { recursive: true, mode: 0o700 });
  await chmod(runDir, 0o700);
  if (owner !== null) await chown(runDir, owner.uid, owner.gid);
}
