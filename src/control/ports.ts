/** What every verb and loop of the control plane is handed. */
import type {
  Agents,
  Catalogue,
  Checkpoint,
  Clock,
  Ledger,
  Log,
  Telemetry,
} from '../model/ports.js';
import type { HostTable } from '../placement/host-table.js';

/** A tick that comes again and again until it is stopped. */
export interface Scheduled {
  stop(): Promise<void>;
}

export interface Ports {
  readonly ledger: Ledger<HostTable>;
  readonly catalogue: Catalogue;
  readonly agents: Agents;
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
  /** A fresh id that nothing else has, and no secret. Ids of one time may begin alike, but do not end so. */
  newId(): string;
  /** A number in [0, 1), for jitter. */
  random(): number;
  /**
   * Calls `tick` at each multiple of the period, on the same instants on every replica; never while
   * the tick before is under way.
   */
  schedule(name: string, periodS: number, tick: () => Promise<void>): Scheduled;
  /** Tells a watching test where a journey is; does nothing otherwise. */
  checkpoint(name: Checkpoint): void;
}
