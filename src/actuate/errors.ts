import { defineErrors } from '../base/errors.js';

export const actuateError = defineErrors({
  TG_ACTUATE_PLAN: {
    message: 'plan {planId} cannot be applied: {reason}',
    hint: 'make a new plan with `tidegate plan create`',
    exitCode: 4,
    httpStatus: 409,
  },
  TG_ACTUATE_STATE: {
    message: 'actuator {actuator} cannot {action}: {reason}',
    hint: 'see `tidegate plan history`',
    httpStatus: 409,
  },
  TG_ACTUATE_APPLY: {
    message: 'actuator {actuator} failed on step {step}: {reason}',
    hint: 'nothing was left half-done: the steps before it were rolled back or are journalled as applied',
  },
  TG_ACTUATE_JOURNAL: {
    message: 'the journal {file} cannot be {action}: {reason}',
    hint: 'check the disk and the permissions; nothing is applied without a journal',
  },
});
