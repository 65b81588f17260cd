/** The handlers of `/v1/images`: which host has which image, and how one comes to the hosts. */
import type { z } from 'zod';
import type { OnHost } from '../control/host-files.js';
import type { addImageQuerySchema, ImageListBody, ImageOnHostsBody } from '../wire/images.js';
import type { Answer, ApiPorts, Call } from './route.js';
import { spool } from './upload.js';

interface ImageParams {
  readonly name: string;
}
interface HostImageParams extends ImageParams {
  readonly host: string;
}
type AddQuery = z.output<typeof addImageQuerySchema>;

export async function listImages(_call: Call, { control }: ApiPorts): Promise<Answer> {
  const { items, unanswered } = await control.images();
  const json: ImageListBody = {
    items: items.map(({ name, hosts }) => ({
      name,
      hosts: hosts.map(({ host, image }) => ({
        host: { id: host.id, name: host.name },
        format: image.format,
        bytes: image.bytes,
        virtualBytes: image.virtualBytes,
        digest: image.digest,
        addedAt: image.addedAt.toISOString(),
      })),
    })),
    unanswered: unanswered.map(({ id, name }) => ({ id, name })),
  };
  return { status: 200, json };
}

export const addImage = (call: Call<ImageParams, AddQuery>, ports: ApiPorts): Promise<Answer> =>
  bring(call, null, ports);

export const addImageToHost = (
  call: Call<HostImageParams, AddQuery>,
  ports: ApiPorts,
): Promise<Answer> => bring(call, call.params.host, ports);

async function bring(
  call: Call<ImageParams, AddQuery>,
  host: string | null,
  { control, uploads }: ApiPorts,
): Promise<Answer> {
  const { params, query, by } = call;
  const file = call.upload();
  const leave = uploads.slots.take();
  try {
    const spooled = await spool(file, uploads.directory);
    try {
      const source = { format: query.format ?? null, ...spooled };
      return onHosts(params.name, await control.addImage(params.name, source, host, by));
    } finally {
      await spooled.remove();
    }
  } finally {
    leave();
  }
}

export const removeImage = (call: Call<ImageParams>, ports: ApiPorts): Promise<Answer> =>
  take(call, null, ports);

export const removeImageFromHost = (
  call: Call<HostImageParams>,
  ports: ApiPorts,
): Promise<Answer> => take(call, call.params.host, ports);

const take = async (
  { params: { name }, by }: Call<ImageParams>,
  host: string | null,
  { control }: ApiPorts,
): Promise<Answer> => onHosts(name, await control.removeImage(name, host, by));

const onHosts = (name: string, on: readonly OnHost[]): Answer => {
  const json: ImageOnHostsBody = {
    name,
    hosts: on.map(({ host, outcome, detail }) => ({
      host: { id: host.id, name: host.name },
      outcome,
      detail,
    })),
  };
  return { status: 200, json };
};
