/** `PUT /v1/images/:name`: an image comes in as bytes, and is never held in memory. */
import type { Request } from 'express';
import { DomainError } from '../../model/errors.js';
import { addImageQuerySchema, imageParamsSchema, type HostImageBody } from '../../wire/images.js';
import type { Driver } from '../drivers/driver.js';
import { valid } from '../http-rules.js';
import type { ImageStore, StoredImage } from './image-store.js';

/** A sender that is silent for so long is gone. */
const STALL_LIMIT_MS = 30_000;

const IMAGE_MEDIA_TYPE = 'application/octet-stream';

export const imageBody = ({
  id: _id,
  path: _path,
  addedAt,
  ...image
}: StoredImage): HostImageBody => ({
  ...image,
  addedAt: addedAt.toISOString(),
});

export const uploadTo =
  (images: ImageStore | null, driver: Pick<Driver, 'name'>) =>
  async (request: Request): Promise<HostImageBody> => {
    const { name } = valid(imageParamsSchema, request.params);
    const { format = null } = valid(addImageQuerySchema, request.query);
    if (images === null) {
      throw new DomainError(
        'state_conflict',
        `This host runs the ${driver.name} driver: it takes any name of an image, and keeps none.`,
      );
    }
    if (request.is(IMAGE_MEDIA_TYPE) === false) {
      throw new DomainError('unsupported_media_type', `Send an image as ${IMAGE_MEDIA_TYPE}.`);
    }
    return imageBody(
      await images.add(name, { format, bytes: announced(request), body: bodyOf(request) }),
    );
  };

/** Room is looked for before a byte is taken, so its size must be known by then. */
function announced(request: Request): number {
  const bytes = Number(request.headers['content-length']);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new DomainError('invalid_request', 'Some fields are not valid; see errors.', {
    errors: [{ field: 'content-length', message: 'must say how many bytes the image has' }],
  });
}

/** Who breaks off is told nothing; the store must know that it was not the end. */
async function* bodyOf(request: Request): AsyncGenerator<Uint8Array> {
  request.setTimeout(STALL_LIMIT_MS, () => {
    request.destroy();
  });
  try {
    for await (const piece of request) yield piece as Uint8Array;
  } catch (cause) {
    throw new DomainError('invalid_request', 'The image broke off.', { cause });
  } finally {
    request.setTimeout(0);
  }
}
