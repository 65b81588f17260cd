/**
 * What this replica knows for certain of the ledger's progress. Redis may lose its last writes (a
 * failover, a restart) and then counts on from an older number; only memory can tell.
 */

export class HighWater {
  #incarnation = '';
  #seq = 0;
  #lost = false;

  /** A change of this number has been seen in this incarnation. */
  note(incarnation: string, seq: number): void {
    if (incarnation !== this.#incarnation) {
      this.#incarnation = incarnation;
      this.#seq = seq;
      this.#lost = false;
    } else if (seq > this.#seq) {
      this.#seq = seq;
    }
  }

  /**
   * The newest incarnation and its highest number. Take it before asking Redis: an answer may be
   * older than what another connection learns meanwhile.
   */
  get latest(): { readonly incarnation: string; readonly seq: number } {
    return { incarnation: this.#incarnation, seq: this.#seq };
  }

  /** The highest number seen in this incarnation; take it before asking, as `latest`. */
  seen(incarnation: string): number {
    return incarnation === this.#incarnation ? this.#seq : 0;
  }

  /** Redis was caught with fewer changes than it once had: no longer to be believed. */
  markLost(incarnation: string): void {
    this.note(incarnation, 0);
    this.#lost = true;
  }

  /** Whether this incarnation has lost changes; only a rebuild ends that. */
  isLost(incarnation: string): boolean {
    return this.#lost && incarnation === this.#incarnation;
  }
}
