/** Secrets that machines show each other: made here, and recognised by their hash alone. */
import { createHash, randomBytes } from 'node:crypto';

/** 256 bits: nobody guesses it, so a fast hash is enough to keep it by. */
const SECRET_BYTES = 32;

/** How much of a secret may be shown, beyond its kind: 30 bits of 256. */
const SHOWN_LENGTH = 5;

/**
 * A fresh secret of 43 characters that URLs and headers can carry.
 * @param kind stands in front of it, so that people and scanners know it when they see it
 */
export const newSecret = (kind: string): string =>
  kind + randomBytes(SECRET_BYTES).toString('base64url');

/** How the secret begins, to recognise it in a list. */
export const prefixOf = (secret: string, kind: string): string =>
  secret.slice(0, kind.length + SHOWN_LENGTH);

/** SHA-256, in hex. */
export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');
