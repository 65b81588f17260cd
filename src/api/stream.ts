/** Texts to a caller as fast as it takes them, and no faster: one is under way, none wait. */
import type { ServerResponse } from 'node:http';

/** `stalled`: the caller did not take a text in time, and was cut off. */
export type StreamEnd = 'ended' | 'gone' | 'stalled';

/** The head of the answer must have been written. */
export async function sendStream(
  response: ServerResponse,
  texts: AsyncIterable<string>,
  stallMs: number,
): Promise<StreamEnd> {
  for await (const text of texts) {
    if (response.destroyed) return 'gone';
    if (response.write(text)) continue;
    const taken = await untilTaken(response, stallMs);
    if (taken !== 'taken') return taken;
  }
  response.end();
  return 'ended';
}

function untilTaken(
  response: ServerResponse,
  stallMs: number,
): Promise<'taken' | 'gone' | 'stalled'> {
  return new Promise((resolve) => {
    const settle = (how: 'taken' | 'gone' | 'stalled') => {
      clearTimeout(timer);
      response.off('drain', taken);
      response.off('close', gone);
      resolve(how);
    };
    const taken = () => {
      settle('taken');
    };
    const gone = () => {
      settle('gone');
    };
    const timer = setTimeout(() => {
      settle('stalled');
      response.destroy();
    }, stallMs);
    response.once('drain', taken);
    response.once('close', gone);
    if (response.destroyed) gone();
  });
}
