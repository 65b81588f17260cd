/** The handler of `/v1/vms/:id/logs`: what the console of a VM has said, and goes on to say. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../model/errors.js';
import type { LogPiece } from '../model/ports.js';
import type { VmLogsQuery } from '../wire/logs.js';
import type { Answer, ApiPorts, Call } from './route.js';
import { visibleVm } from './tenancy.js';

type LogsCall = Call<{ readonly id: string }, VmLogsQuery>;

/** How soon a follower hears what is said. */
const LOOK_EVERY_MS = 700;
/** After so many looks it is asked again whether its caller may still hear it. */
const LOOKS_PER_CHECK = 40;
const STALL_MS = 30_000;
const TEXT = 'text/plain; charset=utf-8';

export async function vmLogs(call: LogsCall, ports: ApiPorts): Promise<Answer> {
  const { params, query, principal } = call;
  const { catalogue, control, consoleSlots } = ports;
  visibleVm(principal, await catalogue.vm(params.id), params.id);
  // Whoever cannot be served shall hear it before an answer has begun.
  const first = await control.readLog(params.id, { tailBytes: query.tailBytes });
  if (!query.follow) {
    const pieces: Uint8Array[] = [];
    for await (const { bytes } of upToNow(first, query.tailBytes, params.id, control)) {
      pieces.push(bytes);
    }
    return { status: 200, text: Buffer.concat(pieces).toString('utf8'), contentType: TEXT };
  }
  const gone = call.untilGone();
  // Given back with the connection: a stream that nobody reads never comes to its end.
  const leave = consoleSlots.take();
  gone.addEventListener('abort', leave, { once: true });
  if (gone.aborted) leave();
  const stream = follow(call, gone, first, control);
  return { status: 200, contentType: TEXT, stream, stallMs: STALL_MS };
}

type Reader = Pick<ApiPorts['control'], 'readLog'>;

/** The pieces that there are, but no more bytes than were asked for: it may be written to. */
async function* upToNow(
  first: LogPiece,
  bytesMax: number,
  vmId: string,
  control: Reader,
): AsyncGenerator<LogPiece> {
  let piece = first;
  let bytes = piece.bytes.length;
  yield piece;
  while (piece.more && bytes < bytesMax) {
    piece = await control.readLog(vmId, { from: piece.next });
    bytes += piece.bytes.length;
    yield piece;
  }
}

/** Ends when the VM is gone, or its caller is. A host that does not answer is asked again. */
async function* follow(
  call: LogsCall,
  gone: AbortSignal,
  first: LogPiece,
  control: Reader,
): AsyncGenerator<string> {
  const { id } = call.params;
  const decoder = new TextDecoder();
  let { next, more, bytes } = first;
  try {
    yield decoder.decode(bytes, { stream: true });
    for (let looks = 1; ; looks += 1) {
      if (!more) await sleep(LOOK_EVERY_MS, null, { signal: gone }).catch(() => null);
      if (gone.aborted) return;
      if (looks % LOOKS_PER_CHECK === 0 && !(await call.stillKnown())) return;
      const piece = await control.readLog(id, { from: next }).catch(nullIfAway);
      if (piece === null) continue;
      ({ next, more, bytes } = piece);
      if (bytes.length > 0) yield decoder.decode(bytes, { stream: true });
    }
  } catch (error) {
    if (!hasCode(error, 'not_found')) throw error;
  }
}

function nullIfAway(error: unknown): null {
  if (hasCode(error, 'agent_unreachable') || hasCode(error, 'catalogue_unavailable')) return null;
  throw error;
}
