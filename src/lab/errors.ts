import { defineErrors } from '../base/errors.js';

export const labError = defineErrors({
  TG_LAB_PRIVILEGE: {
    message: 'the lab needs {capabilities} to make network namespaces',
    hint: 'run as root, or watch real interfaces with `tidegate run --interface NAME`',
  },
  TG_LAB_TOOL: {
    message: 'the lab needs the program {tool}, which is not in PATH',
    hint: 'install the Debian package {package}',
  },
  TG_LAB_NAME: {
    message: 'the lab name "{name}" cannot be used',
    hint: 'use 1 to 24 lower-case letters, digits and dashes, starting with a letter',
    exitCode: 2,
  },
  TG_LAB_BUSY: {
    message: 'a lab named {name} already runs (process {pid})',
    hint: 'stop it, or choose another name with --name',
  },
  TG_LAB_BUILD: {
    message: 'building the lab failed in {where}: {reason}',
    hint: 'nothing of it was left behind; check that the kernel has veth and network namespaces',
  },
  TG_LAB_CLEAN: {
    message: 'the lab could not remove {what}: {reason}',
    hint: 'remove it with `ip netns del NAME`',
  },
  TG_LAB_OPTION: { message: '{option}: {reason}', hint: 'correct the option', exitCode: 2 },
  TG_LAB_TRAFFIC: {
    message: 'the traffic process in {network} {reason}',
    hint: 'see the log lines before this one; `make build` must have run',
  },
});
