import { z } from 'zod';
import { messageOf } from './errors.js';
import { parseDurationMs, parseRateBps, parseSizeBytes } from './units.js';

/** A schema for a quantity that people write with its unit; the parser's own message says what was expected. */
const quantity = (parse: (text: string | number) => number) =>
  z.union([z.string(), z.number()]).transform((text, context): number => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: messageOf(error) });
      return z.NEVER;
    }
  });

/** `"60s"`, `"5m"`, or seconds; milliseconds after parsing. */
export const durationSetting = quantity(parseDurationMs);

/** `"10Gbit"` or bit/s; bit/s after parsing. */
export const rateSetting = quantity(parseRateBps);

/** `"64MiB"` or bytes; bytes after parsing. */
export const sizeSetting = quantity(parseSizeBytes);
