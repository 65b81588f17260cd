/** Schemas that several conversations share. Limits keep every value storable and printable. */
import { z } from 'zod';
import { GROUP_POLICIES } from '../model/groups.js';
import {
  ID_PATTERN,
  IMAGE_PATTERN,
  LABEL_KEY_PATTERN,
  LABEL_VALUE_PATTERN,
  NAME_PATTERN,
  RESOURCE_CLASS_PATTERN,
  SSH_KEY_PATTERN,
  USER_NAME_PATTERN,
} from '../model/ids.js';
import { PATH_LENGTH_MAX, PATH_PATTERN } from '../model/path.js';
import { AMOUNT_MAX } from '../model/resources.js';
import { REQUIRED } from './field-errors.js';

const EXAMPLE_SSH_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBhw1rZ0Fv5cVr6lDMcX2tCyJw3l0VYy1eZQm4n3b0aQ jo@example.org';

export const idSchema = z
  .string()
  .regex(
    ID_PATTERN,
    'must be 1 to 64 letters, digits, ".", "_" or "-", and begin with a letter or digit',
  )
  .meta({ example: '0b9ffb7e-7b0e-4b43-8a3c-6c6a5b0a4f1d' });

export const nameSchema = z
  .string()
  .regex(
    NAME_PATTERN,
    'must be 1 to 63 letters, digits, ".", "_" or "-", and begin and end with a letter or digit',
  )
  .meta({ example: 'web-1' });

export const pathSchema = z
  .string()
  .max(PATH_LENGTH_MAX)
  .regex(PATH_PATTERN, 'must be one to eight names joined by ":", such as "acme:web"')
  .meta({ example: 'acme:web' });

export const imageSchema = z
  .string()
  .regex(IMAGE_PATTERN, 'must be 1 to 128 letters, digits, ".", "_", ":" or "-"')
  .meta({ example: 'debian-12' });

const USERS_MAX = 8;
const KEYS_MAX = 16;
/** An RSA key of 8192 bits has some 1,400 characters. */
const KEY_LENGTH_MAX = 2_048;
/** The guest is told all of it in 16 KiB. */
const USERS_LENGTH_MAX = 12 * 1024;

const sshKeySchema = z
  .string()
  .max(KEY_LENGTH_MAX)
  .regex(
    SSH_KEY_PATTERN,
    'must be one line of a public key, such as "ssh-ed25519 AAAA… jo@example.org"',
  )
  .meta({ example: EXAMPLE_SSH_KEY });

/** Who may log in to a guest. */
export const usersSchema = z
  .array(
    z.strictObject({
      name: z
        .string()
        .regex(
          USER_NAME_PATTERN,
          'must be 1 to 32 lower-case letters, digits, "_" or "-", and begin with a letter or "_"',
        )
        .meta({ example: 'jo' }),
      sshKeys: z.array(sshKeySchema).min(1).max(KEYS_MAX).readonly(),
    }),
  )
  .max(USERS_MAX)
  .readonly()
  .refine(
    (users) => new Set(users.map(({ name }) => name)).size === users.length,
    'must name each user once',
  )
  .refine(
    (users) => JSON.stringify(users).length <= USERS_LENGTH_MAX,
    `must have at most ${USERS_LENGTH_MAX.toString()} characters in all`,
  )
  .meta({ example: [{ name: 'jo', sshKeys: [EXAMPLE_SSH_KEY] }] });

export const RESOURCE_CLASS_RULE =
  'must be 1 to 32 lower-case letters, digits or "_", and begin with a letter';

export const resourceClassSchema = z.string().regex(RESOURCE_CLASS_PATTERN, RESOURCE_CLASS_RULE);

/** A message of our own for whatever is wrong, but for what is missing altogether. */
export const orRequired =
  (message: string) =>
  ({ input }: { readonly input?: unknown }): string =>
    input === undefined ? REQUIRED : message;

/** zod asks here about what is missing, what is no whole number, and what is beyond exact ones. */
const wholeAmount = (least: number, tooSmall: string) =>
  z
    .int({
      error: ({ code, input }) => {
        if (code === 'too_big') return TOO_LARGE;
        if (code === 'too_small') return tooSmall;
        return orRequired('must be a whole number')({ input });
      },
    })
    .min(least, tooSmall)
    .max(AMOUNT_MAX, TOO_LARGE);

const TOO_LARGE = `must be at most ${AMOUNT_MAX.toString()}`;

export const amountSchema = wholeAmount(0, 'must not be negative');

/** An amount that must not be nothing. */
export const positiveAmountSchema = wholeAmount(1, 'must be at least 1');

/** Most classes in one request: far more than any host has. */
export const CLASSES_MAX = 32;

/** Amounts per class, as they are reported. */
export const resourcesSchema = z
  .record(resourceClassSchema, amountSchema)
  .refine(
    (value) => Object.keys(value).length <= CLASSES_MAX,
    `must name at most ${CLASSES_MAX.toString()} classes`,
  )
  .meta({ example: { cpu: 2, memory: 2048, disk: 10240 } });

const LABELS_MAX = 64;

export const labelsSchema = z
  .record(
    z
      .string()
      .regex(LABEL_KEY_PATTERN, 'must be a label key, such as "disk" or "example.org/rack"'),
    z
      .string()
      .regex(
        LABEL_VALUE_PATTERN,
        'must be a label value of at most 63 letters, digits, ".", "_" or "-"',
      ),
  )
  .refine(
    (value) => Object.keys(value).length <= LABELS_MAX,
    `must hold at most ${LABELS_MAX.toString()} labels`,
  )
  .meta({ example: { disk: 'ssd' } });

/** A VM's part in a group of its path. */
export const groupRuleSchema = z
  .strictObject({ name: nameSchema, policy: z.enum(GROUP_POLICIES) })
  .meta({ id: 'GroupRule', example: { name: 'web', policy: 'anti-affinity' } });

export const zoneSchema = nameSchema.meta({ example: 'zone-a' });

const TIME_RULE = 'must be a time in UTC, such as 2026-11-21T10:00:00Z';

export const timestampSchema = z.iso
  .datetime({ error: orRequired(TIME_RULE) })
  // There was no such year, and databases know that.
  .refine((text) => !text.startsWith('0000'), TIME_RULE)
  .meta({ example: '2026-11-21T10:00:00.000Z' });

export const reasonSchema = z.strictObject({ code: z.string(), detail: z.string() });

export const hostRefSchema = z.strictObject({ id: idSchema, name: nameSchema });

/** One page of a list. `nextCursor` is null on the last page. */
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({ items: z.array(item), nextCursor: z.string().nullable() });

export const pageQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(50),
  cursor: z.string().min(1).max(512).optional(),
});
