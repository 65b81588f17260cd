/** Shapes of the names that people and programs give to things. */

/**
 * Ids of hosts and VMs. They become Redis keys, file names and URL segments, so nothing that any
 * of these would read as syntax is allowed in them.
 */
export const ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Names that people read: as ids, and unique where the thing says so. */
export const NAME_PATTERN = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

/**
 * Names of resource classes: `cpu`, `disk_io`, `license_windows`. Amounts are looked up by them in
 * plain objects, so the one name that every object already has is not allowed.
 */
export const RESOURCE_CLASS_PATTERN = /^(?!constructor$)[a-z][a-z0-9_]{0,31}$/;

/** Keys and values of labels. */
export const LABEL_KEY_PATTERN = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/;
export const LABEL_VALUE_PATTERN = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;

/** Names of images in the agents' stores. */
export const IMAGE_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** Names of people in a guest. */
export const USER_NAME_PATTERN = /^[a-z_][a-z0-9_-]{0,31}$/;

/**
 * One line of an authorized_keys file: kind, key, and what its owner calls it. No options, and no
 * U+2028 or U+2029, at which readers of YAML 1.1 begin a new line.
 */
export const SSH_KEY_PATTERN =
  /^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]+={0,2}( [\x20-\x7e\u00a0-\u2027\u202a-\ud7ff]*)?$/;
