import { z } from 'zod';
import { durationSetting } from '../base/settings.js';

/** Settings of the lab; `{}` gives the defaults. */
export const labConfig = z.strictObject({
  /** Names the namespaces: `<name>-private`, `<name>-gateway`, …; several labs need different names. */
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,23}$/, '1 to 24 lower-case letters, digits and dashes, starting with a letter')
    .default('tidegate'),
  /** Length of the compressed day, in ms after parsing. */
  season: durationSetting.prefault('60s'),
  /** Seed of the load profiles: the same seed gives the same days. */
  seed: z.int().nonnegative().default(1),
  /** Multiplies every load; 1 is about 20 Mbit/s at the peak. */
  scale: z.number().positive().max(100).default(1),
});

export type LabConfig = z.infer<typeof labConfig>;
