/** Share of `part` in `whole`; 0 where the question makes no sense (nothing there, or over-full). */
export const ratio = (part: number, whole: number): number =>
  whole <= 0 || part < 0 ? 0 : part / whole;
