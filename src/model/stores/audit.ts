/** The part of the catalogue that keeps who did what. */
import type { Actor } from '../actor.js';
import type { AuditAction, AuditEntry, AuditSubject, Facts } from '../audit.js';
import type { Page } from '../page.js';

export interface AuditQuery {
  readonly limit: number;
  /** Opaque; from the page before. */
  readonly cursor: string | null;
  /** Id or name. */
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly subject?: string | undefined;
  readonly since?: Date | undefined;
}

export interface AuditStore {
  /** Newest first. */
  audit(query: AuditQuery): Promise<Page<AuditEntry>>;
  /** Notes what no trigger sees; for everything else `actor.ts` of the catalogue is the way. */
  note(
    by: Actor,
    action: AuditAction,
    subject: AuditSubject,
    change?: { readonly before: Facts | null; readonly after: Facts | null },
  ): Promise<void>;
  /** Forgets entries older than this, at most a few thousand. @returns how many */
  purgeAudit(olderThanMs: number): Promise<number>;
}
