import { defineErrors } from '../base/errors.js';

export const fail = defineErrors({
  TG_PRICING_READ: { message: 'cannot read {file}: {reason}', hint: 'check the path', exitCode: 2 },
  TG_PRICING_INVALID: { message: 'price book {problem}', hint: 'correct the entry named', exitCode: 2 },
  TG_PRICING_TARIFF: { message: 'there is no tariff "{tariffId}"', hint: 'name one of {known}', exitCode: 2 },
  TG_PRICING_INSTANCE: {
    message: 'there is no instance "{instanceId}"',
    hint: 'name one of {known}',
    exitCode: 2,
  },
  TG_PRICING_IMPORT: {
    message: 'cannot import {file}: {problem}',
    hint: 'nothing was imported; correct the file or name another region',
    exitCode: 2,
  },
  TG_PRICING_MONTH: { message: '"{text}" is not a month', hint: 'write it like 2026-10', exitCode: 2 },
});
