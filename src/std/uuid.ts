/** UUIDs that follow from a text: the same text has the same one, everywhere and for ever. */
import { createHash } from 'node:crypto';

const BYTES = 16;

/** @returns a UUID of version 8 (RFC 9562, section 5.8) made of the text's SHA-256 */
export function uuidFrom(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, BYTES);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}
