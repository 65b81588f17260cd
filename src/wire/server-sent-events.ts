/** Server-sent events as they come in: pieces of text, cut anywhere, made into messages. */

export interface ServerSentEvent {
  /** The last id that was sent, with this message or before it; empty before the first. */
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

export interface EventStreamReader {
  /** @returns the messages that this piece completes */
  take(piece: string): readonly ServerSentEvent[];
  /** After which a reader goes on whose connection breaks now; empty when it knows none. */
  readonly lastEventId: string;
}

/** Reads one connection. Ours ends every line with a line feed alone, and so must what is read. */
export function createEventStreamReader(): EventStreamReader {
  let rest = '';
  let lastEventId = '';
  const takeBlock = (block: string): ServerSentEvent | null => {
    let event = 'message';
    const data: string[] = [];
    for (const line of block.split('\n')) {
      const [, field, value = ''] = /^([^:]+):? ?(.*)$/s.exec(line) ?? [];
      if (field === 'id') lastEventId = value;
      if (field === 'event') event = value;
      if (field === 'data') data.push(value);
    }
    return data.length === 0 ? null : { id: lastEventId, event, data: data.join('\n') };
  };
  return {
    get lastEventId() {
      return lastEventId;
    },
    take(piece) {
      const blocks = (rest + piece).split('\n\n');
      rest = blocks.pop() ?? '';
      return blocks.map(takeBlock).filter((message) => message !== null);
    },
  };
}
