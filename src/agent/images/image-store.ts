/**
 * The images of this host: one file each, named by an id of our own, and a note beside it. An image
 * is there when its note is; what a crash left without one is removed at the next start. A file
 * never changes once it is an image, for the disks of VMs lie over it.
 */
import { createHash, randomUUID } from 'node:crypto';
import { chmod, mkdir, open, readdir, readFile, rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainError } from '../../model/errors.js';
import type { HostImage, ImageFormat } from '../../model/images.js';
import type { Clock, Log } from '../../model/ports.js';
import { IMAGES_MAX, imageNoteSchema, type ImageNote } from '../../wire/images.js';
import { writeDurably } from '../durable-file.js';
import { inspectImage } from './inspect-image.js';

/** An image with what disks are made from. */
export interface StoredImage extends HostImage {
  readonly id: string;
  readonly path: string;
}

/** A file on its way in. */
export interface Upload {
  /** null: by what it begins with. */
  readonly format: ImageFormat | null;
  /** How many bytes will come, as announced. */
  readonly bytes: number;
  readonly body: AsyncIterable<Uint8Array>;
}

export interface ImageStore {
  list(): readonly StoredImage[];
  find(name: string): StoredImage | null;
  /**
   * Takes an image in. The same bytes under the same name again change nothing.
   * @throws DomainError `image_invalid`, `name_conflict`, `body_too_large`, `overloaded`, and what
   *   the check of the room throws
   */
  add(name: string, upload: Upload): Promise<StoredImage>;
  /** While this goes on, a VM that asks for the image is told to ask again, not that there is none. */
  whileMade<T>(name: string, work: () => Promise<T>): Promise<T>;
  /**
   * @returns false when there was none
   * @throws DomainError `state_conflict` when a VM's disk lies over it
   */
  remove(name: string): Promise<boolean>;
  /** Keeps an image for a VM, until that lets go of it. @throws DomainError `image_missing` */
  hold(name: string, vmId: string): StoredImage;
  /** The same for one that a VM's disk lies over already. @returns null when it is not there any more */
  holdById(id: string, vmId: string): StoredImage | null;
  release(vmId: string): void;
  /**
   * Whether a VM can be made from what is here.
   * @throws DomainError `image_missing`, `disk_too_small`, `overloaded` while the image is on its way
   */
  check(vm: { readonly image: string | null; readonly diskMib: number }): void;
}

export interface ImageStoreOptions {
  readonly directory: string;
  /** Of one file. */
  readonly bytesMax?: number;
  /** Of the disk that an image may claim to be. */
  readonly virtualBytesMax?: number;
  /**
   * Refuses files of this many bytes, all that are on their way in, when there is no room; by the free
   * disk when absent.
   */
  readonly checkRoom?: (bytes: number) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
/** Far above what clouds publish; an upload of it takes a while. */
const BYTES_MAX = 64 * GIB;
const VIRTUAL_BYTES_MAX = 2 * 1024 * GIB;
/** What must stay free for everything else. */
const FREE_BYTES_MIN = 1 * GIB;
/** Files on their way in at once. */
const UPLOADS_MAX = 4;

/** VMs get an image as an open descriptor, and none under its name. */
const OURS_ALONE = 0o600;

const NOTE = '.json';
const PART = '.part';

/** Opens the store of a directory, which it makes if need be, and clears away what is no image. */
export async function openImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  const { directory, log } = options;
  await mkdir(directory, { recursive: true, mode: 0o711 });
  const images = new Map<string, StoredImage>();
  for (const { id, image } of await readNotes(directory, log)) {
    const { addedAt, ...rest } = image;
    const path = pathOf(directory, id, image.format);
    await chmod(path, OURS_ALONE).catch((error: unknown) => {
      log.error('the file of an image is not as it should be', { image: image.name, error });
    });
    images.set(image.name, { id, path, ...rest, addedAt: new Date(addedAt) });
  }
  await clear(directory, new Set([...images.values()].flatMap(({ id }) => [id])), log);
  return new Images(options, images);
}

class Images implements ImageStore {
  readonly #options: ImageStoreOptions;
  readonly #images: Map<string, StoredImage>;
  /** Ids of images, by the VM whose disk lies over one. */
  readonly #held = new Map<string, string>();
  /** Bytes announced of files on their way in, by name. */
  readonly #coming = new Map<string, number>();
  /** Names of images that this host is making. */
  readonly #making = new Set<string>();

  constructor(options: ImageStoreOptions, images: Map<string, StoredImage>) {
    this.#options = options;
    this.#images = images;
  }

  list(): readonly StoredImage[] {
    return [...this.#images.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  find(name: string): StoredImage | null {
    return this.#images.get(name) ?? null;
  }

  async add(name: string, upload: Upload): Promise<StoredImage> {
    const { bytesMax = BYTES_MAX } = this.#options;
    if (upload.bytes > bytesMax) throw tooLarge(bytesMax);
    if (this.#coming.has(name)) {
      throw new DomainError('state_conflict', `An image ${name} is just being added.`);
    }
    if (this.#coming.size >= UPLOADS_MAX || this.#images.size >= IMAGES_MAX) {
      throw new DomainError('overloaded', 'This host takes no more images at present.', {
        retryAfterS: 10,
      });
    }
    this.#coming.set(name, upload.bytes);
    try {
      await (this.#options.checkRoom ?? this.#checkFree)(this.#comingBytes());
      return await this.#take(name, upload);
    } finally {
      this.#coming.delete(name);
    }
  }

  /**
   * What will come of all files on their way in. A part that is written already is counted twice,
   * here and on the disk: rather one upload too many is refused than the disk filled.
   */
  #comingBytes(): number {
    return [...this.#coming.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  readonly #checkFree = async (bytes: number): Promise<void> => {
    const { bavail, bsize } = await statfs(this.#options.directory);
    if (bavail * bsize >= bytes + FREE_BYTES_MIN) return;
    throw new DomainError(
      'body_too_large',
      `This host has no room for an image of ${bytes.toString()} bytes.`,
    );
  };

  async #take(name: string, upload: Upload): Promise<StoredImage> {
    const { directory, virtualBytesMax = VIRTUAL_BYTES_MAX, clock, log } = this.#options;
    const id = randomUUID();
    const part = join(directory, `${id}${PART}`);
    try {
      const { bytes, digest } = await written(part, upload);
      const { format, virtualBytes } = await inspectImage(part, upload.format, virtualBytesMax);
      const present = this.#images.get(name);
      if (present !== undefined) return this.#sameOr(present, { format, digest });
      const path = pathOf(directory, id, format);
      const addedAt = new Date(clock.now());
      const image: StoredImage = { id, path, name, format, bytes, virtualBytes, digest, addedAt };
      await rename(part, path);
      await this.#note(image);
      this.#images.set(name, image);
      log.info('image added', { image: name, format, bytes, virtualBytes });
      return image;
    } finally {
      await rm(part, { force: true });
    }
  }

  #sameOr(present: StoredImage, { format, digest }: Pick<StoredImage, 'format' | 'digest'>) {
    if (present.digest === digest && present.format === format) return present;
    throw new DomainError(
      'name_conflict',
      `There is another image ${present.name} here; remove it first, or choose another name.`,
    );
  }

  async #note({ id, path, addedAt, ...image }: StoredImage): Promise<void> {
    const note: ImageNote = { format: 1, id, image: { ...image, addedAt: addedAt.toISOString() } };
    try {
      await writeDurably(
        join(this.#options.directory, `${id}${NOTE}`),
        `${JSON.stringify(note)}\n`,
      );
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  async whileMade<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.#making.add(name);
    try {
      return await work();
    } finally {
      this.#making.delete(name);
    }
  }

  async remove(name: string): Promise<boolean> {
    const image = this.#images.get(name);
    if (image === undefined) return false;
    const users = [...this.#held.values()].filter((id) => id === image.id).length;
    if (users > 0) {
      throw new DomainError(
        'state_conflict',
        `The disks of ${users.toString()} VMs lie over the image ${name}; delete them first.`,
      );
    }
    // From here on nobody finds it, so nobody begins to hold it.
    this.#images.delete(name);
    await rm(join(this.#options.directory, `${image.id}${NOTE}`), { force: true });
    await rm(image.path, { force: true });
    this.#options.log.info('image removed', { image: name });
    return true;
  }

  hold(name: string, vmId: string): StoredImage {
    const image = this.#images.get(name);
    if (image === undefined) throw missing(name);
    this.#held.set(vmId, image.id);
    return image;
  }

  holdById(id: string, vmId: string): StoredImage | null {
    const image = [...this.#images.values()].find((one) => one.id === id);
    if (image === undefined) return null;
    this.#held.set(vmId, id);
    return image;
  }

  release(vmId: string): void {
    this.#held.delete(vmId);
  }

  check({ image: name, diskMib }: { readonly image: string | null; readonly diskMib: number }) {
    if (name === null) return;
    const image = this.#images.get(name);
    if (image === undefined) {
      throw this.#making.has(name) || this.#coming.has(name) ? onItsWay(name) : missing(name);
    }
    refuseTooSmall(image, diskMib);
  }
}

/** @throws DomainError `disk_too_small` */
export function refuseTooSmall(
  { name, virtualBytes }: Pick<StoredImage, 'name' | 'virtualBytes'>,
  diskMib: number,
): void {
  const leastMib = Math.ceil(virtualBytes / MIB);
  if (diskMib >= leastMib) return;
  throw new DomainError(
    'disk_too_small',
    `The image ${name} needs a disk of ${leastMib.toString()} MiB; the VM has ${diskMib.toString()} MiB.`,
    { extra: { image: name, leastMib } },
  );
}

const missing = (name: string): DomainError =>
  new DomainError('image_missing', `This host does not have the image ${name}.`, {
    extra: { image: name },
  });

/** "Not now": the same host is asked again. */
const onItsWay = (name: string): DomainError =>
  new DomainError('overloaded', `This host is just getting the image ${name}.`, {
    retryAfterS: 5,
    extra: { image: name },
  });

const tooLarge = (bytesMax: number): DomainError =>
  new DomainError('body_too_large', `An image may have ${bytesMax.toString()} bytes at most.`);

const pathOf = (directory: string, id: string, format: ImageFormat): string =>
  join(directory, `${id}.${format}`);

/** Writes what comes to a new file, and it is on the disk when this returns. */
async function written(
  path: string,
  { bytes: announced, body }: Upload,
): Promise<{ readonly bytes: number; readonly digest: string }> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx', OURS_ALONE);
  let bytes = 0;
  try {
    for await (const piece of body) {
      bytes += piece.length;
      if (bytes > announced) break;
      hash.update(piece);
      await file.writeFile(piece);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (bytes === announced) return { bytes, digest: hash.digest('hex') };
  throw new DomainError(
    'invalid_request',
    `The image has not as many bytes as were announced (${announced.toString()}).`,
  );
}

async function readNotes(directory: string, log: Log): Promise<readonly ImageNote[]> {
  const notes: ImageNote[] = [];
  for (const name of await readdir(directory)) {
    if (!name.endsWith(NOTE)) continue;
    const note = imageNoteSchema.safeParse(jsonOf(await readFile(join(directory, name), 'utf8')));
    if (note.success && `${note.data.id}${NOTE}` === name) notes.push(note.data);
    else log.error('the note of an image cannot be read; the image is not known', { file: name });
  }
  return notes;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A file whose note cannot be read stays: a VM's disk may lie over it. */
async function clear(directory: string, known: ReadonlySet<string>, log: Log): Promise<void> {
  const names = await readdir(directory);
  const noted = new Set(
    names.filter((name) => name.endsWith(NOTE)).map((name) => name.slice(0, -NOTE.length)),
  );
  for (const name of names) {
    const id = name.split('.')[0] ?? '';
    const isOurs = /^[0-9a-f-]{36}\.(part|qcow2|raw|json\.[0-9a-f]+\.tmp)$/.test(name);
    const isWhole = name.endsWith('.qcow2') || name.endsWith('.raw');
    if (!isOurs || (isWhole && (known.has(id) || noted.has(id)))) continue;
    log.info('a file that never became an image is removed', { file: name });
    await rm(join(directory, name), { force: true });
  }
}
