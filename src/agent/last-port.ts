/**
 * The port of an agent that may take any: the one of its last start, if that is free. So a control
 * plane that knows its address finds it again at once, without waiting for it to join.
 */
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { readIfThere, writeDurably } from './durable-file.js';
import { listen, type Listener } from './listener.js';

const FILE_NAME = 'port';
const PORT_MAX = 65_535;

/** Begins to listen. @throws Error when the port was chosen by somebody and is taken */
export async function listenAgain(
  answer: RequestListener,
  {
    dataDir,
    bind,
    port,
  }: { readonly dataDir: string; readonly bind: string; readonly port: number },
): Promise<Listener> {
  if (port !== 0) return listen(answer, bind, port);
  const file = join(dataDir, FILE_NAME);
  const last = Number((await readIfThere(file)) ?? 0);
  const isUsable = Number.isInteger(last) && last > 0 && last <= PORT_MAX;
  const again = isUsable ? await listen(answer, bind, last).catch(() => null) : null;
  if (again !== null) return again;
  const listener = await listen(answer, bind, 0);
  await writeDurably(file, `${listener.port.toString()}\n`);
  return listener;
}
