/**
 * One HTTP call whose answer is read whole and kept as text. Handed to the dispatcher itself: the usual
 * `request` of undici makes a stream of every body and listens to a signal, which is half of what a
 * small call costs.
 */
import type { Dispatcher } from 'undici';

export interface TextAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * @param limitMs for all of it, from now on
 * @throws Error `TimeoutError` when it took longer, and whatever breaks a connection
 */
export function callOnce(
  over: Dispatcher,
  call: Dispatcher.DispatchOptions,
  limitMs: number,
): Promise<TextAnswer> {
  return new Promise((resolve, reject) => {
    over.dispatch(call, new Reading(resolve, reject, limitMs));
  });
}

class Reading implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: TextAnswer) => void;
  readonly #reject: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #chunks: Buffer[] = [];
  #status = 0;
  #controller: Dispatcher.DispatchController | null = null;
  #tooLate: Error | null = null;

  constructor(
    resolve: (answer: TextAnswer) => void,
    reject: (error: Error) => void,
    limitMs: number,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = setTimeout(() => {
      this.#tooLate = new DOMException('it took too long', 'TimeoutError');
      reject(this.#tooLate);
      this.#controller?.abort(this.#tooLate);
    }, limitMs);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It has waited for a connection all the time.
    if (this.#tooLate !== null) controller.abort(this.#tooLate);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    clearTimeout(this.#timer);
    const [only = Buffer.alloc(0)] = this.#chunks;
    const whole = this.#chunks.length > 1 ? Buffer.concat(this.#chunks) : only;
    this.#resolve({ status: this.#status, text: whole.toString() });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#timer);
    this.#reject(error);
  }
}
