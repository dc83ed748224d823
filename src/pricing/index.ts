export {
  type BurstableBill,
  burstableBill,
  freeSamples,
  type MonthSamples,
} from './burstable.js';
export { egressUsd, marginalUsdPerGb, monthEgressUsd, type TierPart, tierParts } from './egress.js';
export { importAwsPriceList } from './import-aws.js';
export { importCsv } from './import-csv.js';
export {
  type Invoice,
  type InvoiceLine,
  invoiceLines,
  invoiceOf,
  type MonthUsage,
  toCent,
} from './invoice.js';
export { type BillingMonth, billingMonth, billingMonthAt } from './month.js';
export { PriceBook } from './price-book.js';
export type { Burstable, Circuit, Instance, InstanceSettings, Tariff, TariffSettings } from './schema.js';
export { tariffOf } from './schema.js';
