/** Files for the tests of images: sound ones, and such as a stranger might send. */
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  openImageStore,
  type ImageStore,
  type ImageStoreOptions,
} from '../../../src/agent/images/image-store.js';
import type { ImageFormat } from '../../../src/model/images.js';
import { systemClock } from '../../../src/std/clock.js';
import { silentLog } from '../../support/log.js';

export const MIB = 1024 ** 2;

const execute = promisify(execFile);

/** Runs a program and answers what it printed. */
export const run = async (program: string, ...args: string[]): Promise<string> =>
  (await execute(program, args)).stdout;

export const qemuImg = (...args: string[]): Promise<string> => run('qemu-img', ...args);

/** What qemu-img says of a file that is read as this format. */
export const infoOf = async (path: string, format: string): Promise<Record<string, unknown>> =>
  JSON.parse(await qemuImg('info', '-f', format, '--output=json', path)) as Record<string, unknown>;

/** A directory that the test removes, with a store in it. */
export class ImageFiles {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(): Promise<ImageFiles> {
    return new ImageFiles(await mkdtemp(join(tmpdir(), 'berth-images-')));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  get storePath(): string {
    return this.path('store');
  }

  store(changes: Partial<ImageStoreOptions> = {}): Promise<ImageStore> {
    return openImageStore({
      directory: this.storePath,
      clock: systemClock,
      log: silentLog,
      ...changes,
    });
  }

  async qcow2(name: string, mib: number, ...options: string[]): Promise<string> {
    const path = this.path(name);
    await qemuImg('create', '-q', '-f', 'qcow2', ...options, path, `${mib.toString()}M`);
    return path;
  }

  async file(name: string, content: string | Buffer, bytes = content.length): Promise<string> {
    const path = this.path(name);
    await writeFile(path, content);
    const file = await open(path, 'r+');
    await file.truncate(bytes);
    await file.close();
    return path;
  }

  remove(): Promise<void> {
    return rm(this.directory, { recursive: true, force: true });
  }
}

/** Opened when it is read, for what is refused is not. */
async function* bytesOf(path: string): AsyncGenerator<Uint8Array> {
  for await (const piece of createReadStream(path)) yield piece as Uint8Array;
}

/** A file as it is sent. */
export const uploadOf = async (path: string, format: ImageFormat | null = null) => ({
  format,
  bytes: (await stat(path)).size,
  body: bytesOf(path),
});
