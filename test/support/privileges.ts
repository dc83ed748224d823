import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { loadBpfAddon } from '../../src/capture/bpf.js';

let reason: string | undefined;
let known = false;

/** Why tests that load BPF programs into the kernel and make network namespaces cannot run here; undefined = they can. */
export function bpfSkipReason(): string | undefined {
  if (!known) {
    reason = find();
    known = true;
  }
  return reason;
}

function find(): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync('build/bpf/gateway.bpf.o')) return 'needs the BPF programs (make bpf)';
  try {
    loadBpfAddon();
  } catch {
    return 'needs the addon (make native)';
  }
  const name = `tg-probe-${process.pid}`;
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe' });
    execFileSync('ip', ['netns', 'del', name], { stdio: 'pipe' });
  } catch {
    return 'may not make network namespaces (ip netns add)';
  }
  try {
    execFileSync('bpftool', ['map', 'list'], { stdio: 'pipe' });
  } catch {
    return 'may not use bpf() (bpftool map list)';
  }
  return undefined;
}
