/** The conversation about images, with callers and with agents, and what agents note of them. */
import { z } from 'zod';
import { IMAGE_FORMATS } from '../model/images.js';
import { hostRefSchema, idSchema, imageSchema, timestampSchema } from './fields.js';

export const imageFormatSchema = z.enum(IMAGE_FORMATS);

const digestSchema = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 digest in hex')
  .meta({ example: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' });

const bytesSchema = z.int().min(0);

/** What stands in the path of `/v1/images/:name`. */
export const imageParamsSchema = z.strictObject({
  name: imageSchema.meta({ description: 'Name of the image', example: 'debian-12' }),
});

/** `PUT /v1/images/:name?format=qcow2`: without a format the file says by its beginning. */
export const addImageQuerySchema = z.strictObject({
  format: imageFormatSchema.optional().meta({
    description: 'How the bytes are to be read; without it qcow2 if they begin so, raw otherwise',
  }),
});

/** One image on an agent's disk, as the agent tells it. */
export const hostImageSchema = z.object({
  name: imageSchema,
  format: imageFormatSchema,
  bytes: bytesSchema,
  virtualBytes: bytesSchema,
  digest: digestSchema,
  addedAt: timestampSchema,
});
export type HostImageBody = z.infer<typeof hostImageSchema>;

/** Most images of one host. */
export const IMAGES_MAX = 1_000;

/** `GET /v1/images` of an agent. */
export const hostImagesSchema = z.object({
  items: z.array(hostImageSchema).max(IMAGES_MAX),
  /** Its driver only pretends: it takes any name of an image, and keeps none. */
  anyName: z.boolean().default(false),
});

/** Answer of an agent to a removal. */
export const imageRemovalSchema = z.object({ gone: z.boolean() });

/** An agent's own note of one image on its disk. */
export const imageNoteSchema = z.strictObject({
  format: z.literal(1),
  /** Names the file; never given to another image. */
  id: z.uuid(),
  image: z.strictObject({ ...hostImageSchema.shape }),
});
export type ImageNote = z.infer<typeof imageNoteSchema>;

/** An agent's own note of what a VM's disks were made from. */
export const disksNoteSchema = z.strictObject({
  format: z.literal(1),
  vmId: idSchema,
  image: z.strictObject({ id: z.uuid(), format: imageFormatSchema }).nullable(),
});
export type DisksNote = z.infer<typeof disksNoteSchema>;

/** Of what `qemu-img info --output=json` says, what is looked at. */
export const qemuImgInfoSchema = z.object({
  format: z.string(),
  'virtual-size': z.int().min(1),
  encrypted: z.boolean().optional(),
  'backing-filename': z.string().optional(),
  'full-backing-filename': z.string().optional(),
  'format-specific': z
    .object({
      data: z
        .object({ 'data-file': z.unknown().optional(), corrupt: z.boolean().optional() })
        .optional(),
    })
    .optional(),
});

/** An image as callers see it: what each host that has it says of it. */
export const imageBodySchema = z
  .strictObject({
    name: imageSchema,
    hosts: z.array(
      z.strictObject({
        host: hostRefSchema,
        format: imageFormatSchema,
        bytes: bytesSchema.meta({ description: 'Of the file' }),
        virtualBytes: bytesSchema.meta({
          description: 'Of the disk that a guest sees: no VM of it may ask for less',
        }),
        digest: digestSchema.meta({ description: 'SHA-256 of the file' }),
        addedAt: timestampSchema,
      }),
    ),
  })
  .meta({ id: 'Image' });
export type ImageBody = z.infer<typeof imageBodySchema>;

/** `GET /v1/images`: all of them, and hosts that could not be asked. */
export const imageListSchema = z.strictObject({
  items: z.array(imageBodySchema),
  unanswered: z.array(hostRefSchema).meta({ description: 'Hosts that did not answer' }),
});
export type ImageListBody = z.infer<typeof imageListSchema>;

/** What became of an image on one host. */
const onHostSchema = z.strictObject({
  host: hostRefSchema,
  outcome: z.enum(['done', 'skipped', 'failed']).meta({
    description: 'Skipped: the host is not up, or is a simulated one that needs no image',
  }),
  detail: z.string().nullable().meta({ description: 'Why it is not done' }),
});

/** Answer to an add or a removal. */
export const imageOnHostsSchema = z
  .strictObject({
    name: imageSchema,
    hosts: z.array(onHostSchema),
  })
  .meta({ id: 'ImageOnHosts' });
export type ImageOnHostsBody = z.infer<typeof imageOnHostsSchema>;
