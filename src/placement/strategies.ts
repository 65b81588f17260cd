/** The strategies by their names. */
import type { StrategyName } from '../model/strategies.js';
import { bestFit } from './best-fit.js';
import { cosine } from './cosine.js';
import { firstFit } from './first-fit.js';
import type { Ranking, Strategy } from './strategy.js';
import { worstFit } from './worst-fit.js';

export const STRATEGIES: Readonly<Record<StrategyName, Strategy>> = {
  cosine,
  'best-fit': bestFit,
  'worst-fit': worstFit,
  'first-fit': firstFit,
};

/** As configured, or by the strategy that a request asks for; the weights are the same. */
export const rankedBy = (configured: Ranking, asked: StrategyName | null | undefined): Ranking =>
  asked === undefined || asked === null
    ? configured
    : { ...configured, strategy: STRATEGIES[asked] };
