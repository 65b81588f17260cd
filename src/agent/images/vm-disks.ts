/**
 * The disks of VMs: an overlay of the size asked for over an image, and a seed. Each VM has a
 * directory of its own, named by its id; a note in it says over which image its overlay lies, and is
 * written before the overlay, so that no image is removed below a disk.
 */
import { access, chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainError } from '../../model/errors.js';
import type { Log } from '../../model/ports.js';
import { disksNoteSchema, type DisksNote } from '../../wire/images.js';
import { readIfThere, writeDurably } from '../durable-file.js';
import type { VmDisk, VmDisks } from '../vm-parts.js';
import { markedId, type VmRecord } from '../vm-store.js';
import { refuseTooSmall, type ImageStore, type StoredImage } from './image-store.js';
import { runProgram } from './run-program.js';
import { seedFiles, writeSeed, type SeedNetwork } from './seed.js';

export interface VmDisksOptions {
  readonly directory: string;
  readonly images: ImageStore;
  readonly log: Log;
  /** Where the host configures the network of a VM; null: the guest asks by DHCP. */
  networkOf?(vmId: string): Promise<SeedNetwork | null>;
}

const MIB = 1024 ** 2;
const NOTE = 'disks.json';
const ROOT = 'root.qcow2';
const SEED = 'seed.iso';
/** A VM gets its disks as open descriptors, and nobody else's under their names. */
const OURS_ALONE = 0o600;
const CREATE_LIMIT_MS = 60_000;

/** Opens the directory, which it makes if need be, and holds the images that disks in it lie over. */
export async function openVmDisks(options: VmDisksOptions): Promise<VmDisks> {
  const { directory, images, log } = options;
  await mkdir(directory, { recursive: true, mode: 0o711 });
  for (const name of await readdir(directory)) {
    const note = await readNote(join(directory, name));
    if (note?.image === null || note === null) continue;
    if (images.holdById(note.image.id, note.vmId) === null) {
      log.error('the image below the disk of a VM is gone', { vmId: note.vmId });
    }
  }
  const directoryOf = (vmId: string) => join(directory, markedId(vmId));
  const remove = async (name: string, vmId: string | null): Promise<void> => {
    await rm(join(directory, name), { recursive: true, force: true });
    if (vmId !== null) images.release(vmId);
  };
  return {
    prepare: (vm) => prepare(options, directoryOf(vm.id), vm),
    remove: (vmId) => remove(markedId(vmId), vmId),
    async sweep(vmIds) {
      const kept = new Set([...vmIds].map(markedId));
      for (const name of await readdir(directory)) {
        if (kept.has(name)) continue;
        const note = await readNote(join(directory, name));
        await remove(name, note?.vmId ?? null);
        log.info('the disks of a VM that is not here were removed', { directory: name });
      }
    },
  };
}

async function prepare(
  options: VmDisksOptions,
  directory: string,
  vm: VmRecord,
): Promise<readonly VmDisk[]> {
  await mkdir(directory, { recursive: true, mode: 0o711 });
  const image = await imageBelow(options.images, directory, vm);
  const root = join(directory, ROOT);
  if (!(await isThere(root))) await createOverlay(root, image, diskMibOf(vm));
  const seed = join(directory, SEED);
  if (!(await isThere(seed))) {
    const network = (await options.networkOf?.(vm.id)) ?? null;
    await writeSeed(seed, seedFiles({ vmId: vm.id, name: vm.name, users: vm.users, network }));
  }
  for (const path of [root, seed]) await chmod(path, OURS_ALONE);
  const backing = image === null ? null : { path: image.path, format: image.format };
  return [
    { name: 'root', path: root, format: 'qcow2', backing, readOnly: false },
    { name: 'seed', path: seed, format: 'raw', backing: null, readOnly: true },
  ];
}

/** The image that the note names, or that of the order, which is noted. */
async function imageBelow(
  images: ImageStore,
  directory: string,
  vm: VmRecord,
): Promise<StoredImage | null> {
  const noted = await readNote(directory);
  if (noted !== null) {
    if (noted.image === null) return null;
    const image = images.holdById(noted.image.id, vm.id);
    if (image !== null) return image;
    throw new DomainError('image_missing', `The image below the disk of VM ${vm.id} is gone.`);
  }
  try {
    const image = vm.image === null ? null : images.hold(vm.image, vm.id);
    if (image !== null) refuseTooSmall(image, diskMibOf(vm));
    const below = image === null ? null : { id: image.id, format: image.format };
    const note: DisksNote = { format: 1, vmId: vm.id, image: below };
    await writeDurably(join(directory, NOTE), `${JSON.stringify(note)}\n`);
    return image;
  } catch (error) {
    images.release(vm.id);
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

const diskMibOf = ({ resources }: VmRecord): number => resources.disk ?? 0;

/**
 * Its name appears when it is whole. The format below is named, and never guessed; the image itself,
 * which is a stranger's, is not opened (`-u`), as its size and format were found out when it came.
 */
async function createOverlay(
  path: string,
  image: StoredImage | null,
  diskMib: number,
): Promise<void> {
  const made = `${path}.tmp`;
  const over = image === null ? [] : ['-b', image.path, '-F', image.format];
  const size = (diskMib * MIB).toString();
  try {
    await runProgram('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', ...over, made, size], {
      limitMs: CREATE_LIMIT_MS,
    });
    await rename(made, path);
  } finally {
    await rm(made, { force: true });
  }
}

/** @returns null when there is none, or none that can be read */
async function readNote(directory: string): Promise<DisksNote | null> {
  const text = await readIfThere(join(directory, NOTE));
  if (text === null) return null;
  try {
    const note = disksNoteSchema.safeParse(JSON.parse(text));
    return note.success ? note.data : null;
  } catch {
    return null;
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
