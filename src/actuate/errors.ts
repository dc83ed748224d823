import { defineErrors } from '../base/errors.js';

export const actuateError = defineErrors({
  TG_ACTUATE_APPLY: {
    message: 'actuator {actuator} failed on step {step}: {reason}',
    hint: 'see the journal: what was done of the plan was undone, or will be when the actuator answers again',
  },
  TG_ACTUATE_LEASE: {
    message: 'another process ({pid}) is applying a plan',
    hint: 'wait until it is done',
    exitCode: 4,
    httpStatus: 409,
  },
  TG_ACTUATE_REFUSED: {
    message: 'plan {planId} was refused: {reasons}',
    hint: 'see the policy in the configuration, or make a new plan',
    exitCode: 4,
    httpStatus: 409,
  },
  TG_ACTUATE_TOOL: {
    message: '{tool} refused "{command}": {reason}',
    hint: 'check the privileges and that the kernel has {needs}',
  },
  TG_ACTUATE_QDISC: {
    message: 'interface {interface} has a root qdisc of somebody else ({kind} {handle})',
    hint: 'remove it, or allow its replacement with replaceQdisc',
  },
  TG_ACTUATE_REMOTE: {
    message: '{actuator}: {url} {reason}',
    hint: 'check the receiver; the change was not applied',
    httpStatus: 502,
  },
  TG_ACTUATE_RULE: {
    message: 'rule {rule}: {reason}',
    hint: 'correct the rule',
    exitCode: 2,
    httpStatus: 400,
  },
  TG_ACTUATE_CONFIG: {
    message: 'the actuator {name} has no settings',
    hint: 'add actuate.{name} to the configuration',
    exitCode: 2,
  },
  TG_ACTUATE_PACKAGE: {
    message: 'the package {package} is not installed',
    hint: 'install it with `npm install {package}`; it is optional',
    exitCode: 3,
  },
  TG_ACTUATE_JOURNAL: {
    message: 'the journal {file} cannot be {action}: {reason}',
    hint: 'check the disk and the permissions; nothing is applied without a journal',
  },
});
