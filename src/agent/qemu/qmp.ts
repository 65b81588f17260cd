/**
 * A client of QEMU's Machine Protocol: lines of JSON over a unix socket. What answers is not
 * trusted: lines, waits and open questions are bounded, and one wrong line ends the conversation.
 * Events that come while nobody is connected are lost: ask `query-status` after each connect.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { qmpGreetingSchema, qmpLineSchema, type QmpLine } from '../../wire/qemu.js';

export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface QmpClient {
  /**
   * @throws QmpError `refused` when QEMU says no, `late` when it says nothing in time, `closed`
   * when the conversation ends
   */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Resolves when the conversation has ended, from either side. */
  readonly closed: Promise<void>;
  close(): void;
}

export class QmpError extends Error {
  override readonly name = 'QmpError';
  constructor(
    readonly kind: 'refused' | 'late' | 'closed' | 'nonsense',
    message: string,
  ) {
    super(message);
  }
}

export interface QmpOptions {
  /** Of the greeting, and of each answer. */
  readonly limitMs: number;
  readonly onEvent: (event: QmpEvent) => void;
}

/** QEMU's longest answers (the schema of the protocol, which we never ask for) are shorter. */
const LINE_LENGTH_MAX = 1024 * 1024;
const OPEN_QUESTIONS_MAX = 64;

interface Question {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: QmpError) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Connects to the socket of this name in a directory. The path of a unix socket may not exceed 107
 * bytes, and that of the directory may: it is gone through an open descriptor.
 * @throws QmpError when nobody greets in time; Error with a code when there is nobody at all
 */
export async function openQmp(
  directory: string,
  name: string,
  options: QmpOptions,
): Promise<QmpClient> {
  const { O_DIRECTORY, O_RDONLY, O_NOFOLLOW } = constants;
  const folder = await open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    return await greeted(connect(`/proc/self/fd/${folder.fd.toString()}/${name}`), options);
  } finally {
    await folder.close();
  }
}

/** Waits for the greeting and leaves the mode in which QEMU only negotiates. */
async function greeted(socket: Socket, options: QmpOptions): Promise<QmpClient> {
  const conversation = new Conversation(socket, options);
  try {
    await conversation.greeting;
    await conversation.execute('qmp_capabilities');
    return conversation;
  } catch (error) {
    conversation.close();
    throw error;
  }
}

class Conversation implements QmpClient {
  readonly closed: Promise<void>;
  /** Rejects with the socket's own error when there is nobody. */
  readonly greeting: Promise<void>;
  readonly #socket: Socket;
  readonly #options: QmpOptions;
  readonly #questions = new Map<number, Question>();
  readonly #decoder = new StringDecoder('utf8');
  #greeted: (() => void) | null = null;
  #lastId = 0;
  #rest = '';
  #fault: Error | null = null;

  constructor(socket: Socket, options: QmpOptions) {
    this.#socket = socket;
    this.#options = options;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#endQuestions();
        resolve();
      });
    });
    this.greeting = this.#awaitGreeting();
    socket.on('error', (error) => {
      this.#fault ??= error;
    });
    socket.on('data', (bytes: Buffer) => {
      this.#take(this.#decoder.write(bytes));
    });
  }

  execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    if (this.#socket.destroyed) return Promise.reject(closedError());
    if (this.#questions.size >= OPEN_QUESTIONS_MAX) {
      return Promise.reject(new QmpError('late', 'QEMU owes too many answers'));
    }
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      // An answer that comes later still finds no question, and is passed over.
      const timer = setTimeout(() => {
        this.#questions.delete(id);
        reject(new QmpError('late', `QEMU did not answer ${command} in time`));
      }, this.#options.limitMs);
      this.#questions.set(id, { resolve, reject, timer });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #awaitGreeting(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#end(new QmpError('late', 'QEMU did not greet in time'));
      }, this.#options.limitMs);
      this.#greeted = () => {
        clearTimeout(timer);
        this.#greeted = null;
        resolve();
      };
      void this.closed.then(() => {
        clearTimeout(timer);
        reject(this.#fault ?? closedError());
      });
    });
  }

  /** Takes a piece of what comes in, cut anywhere. */
  #take(piece: string): void {
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (this.#socket.destroyed) return;
      if (line.trim() !== '') this.#takeLine(line);
    }
    if (this.#rest.length > LINE_LENGTH_MAX) this.#end(nonsense('a line without an end'));
  }

  #takeLine(line: string): void {
    const content = line.length > LINE_LENGTH_MAX ? undefined : parsed(line);
    if (this.#greeted !== null) {
      if (qmpGreetingSchema.safeParse(content).success) this.#greeted();
      else this.#end(nonsense('no greeting'));
      return;
    }
    const message = qmpLineSchema.safeParse(content);
    if (message.success) this.#takeMessage(message.data);
    else this.#end(nonsense('a line that is no message'));
  }

  #takeMessage(message: QmpLine): void {
    if ('event' in message) {
      this.#options.onEvent(message);
      return;
    }
    if (!('id' in message)) {
      this.#end(nonsense('an error without a question'));
      return;
    }
    const question = this.#questions.get(message.id);
    if (question === undefined) return;
    this.#questions.delete(message.id);
    clearTimeout(question.timer);
    if ('error' in message) question.reject(new QmpError('refused', message.error.desc));
    else question.resolve(message.return);
  }

  #end(fault: QmpError): void {
    this.#fault ??= fault;
    this.#socket.destroy();
  }

  #endQuestions(): void {
    const fault = this.#fault instanceof QmpError ? this.#fault : closedError();
    for (const { reject, timer } of this.#questions.values()) {
      clearTimeout(timer);
      reject(fault);
    }
    this.#questions.clear();
  }
}

const closedError = () => new QmpError('closed', 'the conversation with QEMU has ended');

const nonsense = (what: string) => new QmpError('nonsense', `QEMU sent ${what}`);

function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}
