/** Images: the disks that VMs start from, as hosts keep them. */

export const IMAGE_FORMATS = ['qcow2', 'raw'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** One image as a host has it. */
export interface HostImage {
  readonly name: string;
  readonly format: ImageFormat;
  /** Of the file. */
  readonly bytes: number;
  /** Of the disk that a guest sees: no VM of it may ask for less. */
  readonly virtualBytes: number;
  /** SHA-256 of the file, in hex. */
  readonly digest: string;
  readonly addedAt: Date;
}

/** What becomes an image: its bytes can be had again for each host. */
export interface ImageSource {
  /** null: qcow2 if it begins as qcow2 does, raw otherwise. */
  readonly format: ImageFormat | null;
  readonly bytes: number;
  read(): AsyncIterable<Uint8Array>;
}
