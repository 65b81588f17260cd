/**
 * Whether one more image may be stored. Asked twice: before it is fetched, with 0 bytes, and again
 * once its size is known. Pure; where the numbers come from, the caller knows.
 */
import { DomainError } from '../model/errors.js';

const GIB = 1024 ** 3;

/** VMs that run must go on writing: images never take the last of the disk. */
export const IMAGE_FREE_BYTES_MIN = 5 * GIB;

export interface ImageRoom {
  /** What may still be used: by the disk itself and by what is promised to VMs, the smaller one. */
  readonly availableBytes: number;
  /** The disk that images may take their share of. */
  readonly diskBytes: number;
  /** Images and their cache, as they are. */
  readonly storedBytes: number;
  /** Share (0 to 1) of the disk that they may take. */
  readonly share: number;
}

/** What images and their cache may take: `trunc(disk × share)`. */
export const imageBytesMax = ({ diskBytes, share }: Pick<ImageRoom, 'diskBytes' | 'share'>) =>
  Math.trunc(diskBytes * share);

/**
 * @param bytes size of the image; 0 while it is not known
 * @throws DomainError `image_storage_full` with what was asked, what there is and the limit
 */
export function checkImageRoom(room: ImageRoom, bytes: number): void {
  const available = room.availableBytes - bytes;
  if (available < IMAGE_FREE_BYTES_MIN) {
    throw full(
      `${room.availableBytes.toString()} bytes are available, ${IMAGE_FREE_BYTES_MIN.toString()} must be left`,
      { requested: bytes, available: room.availableBytes, limit: IMAGE_FREE_BYTES_MIN },
    );
  }
  const max = imageBytesMax(room);
  const isFull = bytes === 0 ? room.storedBytes >= max : room.storedBytes + bytes > max;
  if (!isFull) return;
  const percent = Number((room.share * 100).toFixed(1)).toString();
  throw full(
    `images take ${room.storedBytes.toString()} of ${max.toString()} bytes, ${percent}% of the disk`,
    { requested: bytes, available: Math.max(0, max - room.storedBytes), limit: max },
  );
}

const full = (why: string, extra: Readonly<Record<string, number>>): DomainError =>
  new DomainError('image_storage_full', `This host has no room for the image: ${why}.`, { extra });
