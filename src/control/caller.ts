/** Who asks the control plane for something, and where to log what comes of it. */
import type { Actor } from '../model/actor.js';
import type { Log } from '../model/ports.js';

export interface Caller {
  readonly actor: Actor;
  /** Carries the request's id. */
  readonly log: Log;
  /** Whether nobody is there any more to hear the answer; absent where somebody always is. */
  readonly isGone?: () => boolean;
}
