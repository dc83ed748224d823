import { z } from 'zod';
import { durationSetting, sizeSetting } from '../base/settings.js';

/** Where history is kept; `{}` is the embedded engine. */
export const storeConfig = z.strictObject({
  /** A ClickHouse server, e.g. `http://10.0.0.5:8123`; absent = the embedded engine. */
  url: z.url({ protocol: /^https?$/ }).optional(),
  /** Other replicas of the same shard, asked in turn when `url` does not answer. */
  replicas: z.array(z.url({ protocol: /^https?$/ })).default([]),
  user: z.string().default('default'),
  password: z.string().default(''),
  database: z
    .string()
    .regex(/^[a-z_][a-z0-9_]*$/i, 'letters, digits and underscores')
    .default('tidegate'),
  /** Name of a cluster in the server's configuration: replicated tables and Distributed ones over them. */
  cluster: z
    .string()
    .regex(/^[a-z_][a-z0-9_]*$/i, 'letters, digits and underscores')
    .optional(),
  /** Loopback port of the embedded engine; 0 = any free one. */
  port: z.int().min(0).max(65535).default(0),
  /** Memory cap of the embedded engine's process. */
  memoryLimit: sizeSetting.prefault('4GiB'),
  /** Records wait here while ClickHouse is away; beyond it the oldest go, counted. */
  spoolLimit: sizeSetting.prefault('8GiB'),
  /** Records that have waited longer go too, counted: after a week a replica no longer knows what it was sent. */
  spoolAge: durationSetting.prefault('7d'),
  /** Beyond so many octets on disk the oldest partitions of a table go, before their age does it. */
  retention: z
    .strictObject({
      flows: sizeSetting.prefault('40GiB'),
      fingerprints: sizeSetting.prefault('10GiB'),
      usage_1s: sizeSetting.prefault('1GiB'),
      usage_1m: sizeSetting.prefault('2GiB'),
      usage_5m: sizeSetting.prefault('2GiB'),
      usage_1h: sizeSetting.prefault('2GiB'),
      resource_usage: sizeSetting.prefault('1GiB'),
      forecasts: sizeSetting.prefault('2GiB'),
      forecast_errors: sizeSetting.prefault('1GiB'),
      events: sizeSetting.prefault('512MiB'),
    })
    .prefault({}),
  /** What goes by size or by age is written here as Parquet first; on a server a path below its user_files. */
  archive: z.string().min(1).optional(),
  /** Survive a crash of the host, not only of the process, at some cost per batch. */
  fsync: z.boolean().default(false),
});

export type StoreConfig = z.infer<typeof storeConfig>;
