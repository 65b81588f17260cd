/** The strategies by their names. */
import type { StrategyName } from '../model/strategies.js';
import { balancedFit } from './balanced-fit.js';
import { bestFit } from './best-fit.js';
import { cosineBanded } from './cosine-banded.js';
import { cosine } from './cosine.js';
import { firstFit } from './first-fit.js';
import { k8sBalanced } from './k8s-balanced.js';
import { stranding } from './stranding.js';
import type { Ranking, Strategy } from './strategy.js';
import { worstFit } from './worst-fit.js';

export const STRATEGIES: Readonly<Record<StrategyName, Strategy>> = {
  cosine,
  'balanced-fit': balancedFit,
  'cosine-banded': cosineBanded,
  stranding,
  'best-fit': bestFit,
  'k8s-balanced': k8sBalanced,
  'worst-fit': worstFit,
  'first-fit': firstFit,
};

/** As configured, or by the strategy that a request asks for; the weights are the same. */
export const rankedBy = (configured: Ranking, asked: StrategyName | null | undefined): Ranking =>
  asked === undefined || asked === null
    ? configured
    : { ...configured, strategy: STRATEGIES[asked] };
