/** A reader of `/v1/events`, as a browser would be one: it collects, and can be cut at any moment. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import {
  createEventStreamReader,
  type ServerSentEvent,
} from '../../src/wire/server-sent-events.js';

export interface EventReader {
  readonly status: number;
  /** Everything that came, comments too. */
  text(): string;
  readonly events: readonly ServerSentEvent[];
  /** After which the next reader goes on. */
  lastEventId(): string;
  /** Resolves when the connection is over: true when the server ended it in order. */
  readonly over: Promise<boolean>;
  /** Resolves as soon as this holds; fails when the connection is over before. */
  until(holds: () => boolean): Promise<void>;
  cut(): void;
}

export interface ReaderRequest {
  readonly url: string;
  readonly token: string;
  /** What follows the `?`. */
  readonly query?: string;
  readonly lastEventId?: string;
}

/** Resolves when the server has answered. */
export async function readEvents(request: ReaderRequest): Promise<EventReader> {
  const { url, token, query = '', lastEventId } = request;
  // A connection of its own, which ends with it: fetch would open another one for later.
  const outgoing = get(`${url}/v1/events?${query}`, {
    agent: false,
    headers: {
      authorization: `Bearer ${token}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
  });
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  const stream = createEventStreamReader();
  const events: ServerSentEvent[] = [];
  let text = '';
  let isOver = false;
  const watchers = new Set<() => void>();
  const tell = () => {
    for (const watcher of watchers) watcher();
  };
  const collect = async (): Promise<boolean> => {
    const decoder = new TextDecoder();
    try {
      for await (const piece of answer) {
        const came = decoder.decode(piece as Buffer, { stream: true });
        text += came;
        events.push(...stream.take(came));
        tell();
      }
      return true;
    } catch {
      return false;
    } finally {
      isOver = true;
      tell();
    }
  };
  return {
    status: answer.statusCode ?? 0,
    events,
    text: () => text,
    lastEventId: () => stream.lastEventId,
    over: collect(),
    until: (holds) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!holds() && !isOver) return;
          watchers.delete(look);
          if (holds()) resolve();
          else reject(new Error(`the stream ended before: ${text.slice(-2_000)}`));
        };
        watchers.add(look);
        look();
      }),
    cut() {
      answer.destroy();
    },
  };
}
