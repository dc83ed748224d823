import type { SchemaStatement } from './statement.js';

/** The ledger asks what was rented, for months: without reading every plan whole. */
export const planRecords: readonly SchemaStatement[] = [
  {
    kind: 'columns',
    table: 'plans',
    columns: [
      "instanceId LowCardinality(String) COMMENT 'what is rented, by the price book'",
      "instances UInt32 COMMENT 'how many of them run in its first period'",
      "purchase LowCardinality(String) COMMENT 'how they are bought: on-demand or spot'",
    ],
  },
];
