/** Names of the placement strategies; how each ranks hosts stands in placement. */

export const STRATEGY_NAMES = [
  'cosine',
  'balanced-fit',
  'cosine-banded',
  'stranding',
  'best-fit',
  'k8s-balanced',
  'worst-fit',
  'first-fit',
] as const;
export type StrategyName = (typeof STRATEGY_NAMES)[number];
