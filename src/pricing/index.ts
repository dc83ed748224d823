export {
  egressUsd,
  type Instance,
  marginalUsdPerGb,
  monthEgressUsd,
  PriceBook,
  type Tariff,
} from './price-book.js';
