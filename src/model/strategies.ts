/** Names of the placement strategies; how each ranks hosts stands in placement. */

export const STRATEGY_NAMES = ['cosine', 'best-fit', 'worst-fit', 'first-fit'] as const;
export type StrategyName = (typeof STRATEGY_NAMES)[number];
