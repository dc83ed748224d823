// Builds the Debian package from what `make build` left: node scripts/make-deb.mjs [--compress none|gzip|xz]
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { SingleBar } from 'cli-progress';

const root = join(import.meta.dirname, '..');
const compress = process.argv[process.argv.indexOf('--compress') + 1] ?? 'xz';
const { version, description } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const architecture = execFileSync('dpkg', ['--print-architecture'], { encoding: 'utf8' }).trim();
const output = join(root, 'build', 'package');
const tree = join(output, 'tree');
rmSync(output, { recursive: true, force: true });

const at = (path) => {
  const file = join(tree, path);
  mkdirSync(dirname(file), { recursive: true });
  return file;
};
const put = (path, content, mode = 0o644) => writeFileSync(at(path), content, { mode });
const copy = (from, to) => cpSync(join(root, from), at(to), { recursive: true, verbatimSymlinks: true });

// The program where packageRoot() looks for its parts.
const home = 'usr/lib/tidegate';
for (const path of [
  'package.json',
  'LICENSE',
  'dist',
  'build/bpf/gateway.bpf.o',
  'build/Release/tidegate.node',
  'src/pricing/data',
])
  copy(path, `${home}/${path}`);

// Packages that the program itself needs, as the lock file has them; other platforms' binaries stay out.
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
const foreign = new RegExp(
  `/bin/napi-v\\d+/(?!linux/${process.arch}\\b)[a-z0-9]+/[a-z0-9]+|/bin/napi-v\\d+/(?!linux\\b)[a-z0-9]+$`,
);
const progress = new SingleBar({
  stream: process.stderr,
  format: 'packages [{bar}] {percentage} % {path}',
  barCompleteChar: '#',
  barIncompleteChar: '.',
  barsize: 30,
  clearOnComplete: true,
  linewrap: false,
});
progress.start(Object.keys(packages).length, 0, { path: '' });
for (const [path, { dev, devOptional }] of Object.entries(packages)) {
  progress.increment({ path });
  if (path === '' || dev || devOptional || !existsSync(join(root, path))) continue;
  const nested = path.lastIndexOf('/node_modules/') > 0;
  if (nested) continue; // copied with the package that holds it
  cpSync(join(root, path), at(`${home}/${path}`), {
    recursive: true,
    filter: (source) => !foreign.test(source),
  });
}

progress.stop();

mkdirSync(join(tree, 'usr/bin'), { recursive: true });
symlinkSync('../lib/tidegate/dist/cli/main.js', join(tree, 'usr/bin/tidegate'));
copy('deploy/systemd/tidegate.service', 'usr/lib/systemd/system/tidegate.service');
copy('deploy/debian/sysusers.conf', 'usr/lib/sysusers.d/tidegate.conf');
copy('deploy/debian/tmpfiles.conf', 'usr/lib/tmpfiles.d/tidegate.conf');
copy('deploy/debian/gateway.yaml', 'etc/tidegate/gateway.yaml');
copy('LICENSE', 'usr/share/doc/tidegate/copyright');
copy('deploy/prometheus/tidegate-alerts.yaml', 'usr/share/tidegate/tidegate-alerts.yaml');

const cli = (...words) =>
  execFileSync('node', [join(root, 'dist/cli/main.js'), ...words], { encoding: 'utf8' });
put('usr/share/tidegate/gateway.schema.json', cli('config', 'schema'));
const man = join(output, 'man');
put('usr/share/bash-completion/completions/tidegate', cli('completion', 'bash', '--man', man));
put('usr/share/zsh/vendor-completions/_tidegate', cli('completion', 'zsh'));
put('usr/share/fish/vendor_completions.d/tidegate.fish', cli('completion', 'fish'));
for (const page of readdirSync(man))
  put(`usr/share/man/man1/${page}.gz`, gzipSync(readFileSync(join(man, page)), { level: 9 }));

const kib = execFileSync('du', ['-sk', tree], { encoding: 'utf8' }).split('\t')[0];
put(
  'DEBIAN/control',
  `Package: tidegate
Version: ${version}
Architecture: ${architecture}
Maintainer: Tidegate <tidegate@localhost>
Section: net
Priority: optional
Installed-Size: ${kib}
Depends: nodejs (>= 20.20), libbpf1, libelf1, zlib1g, libstdc++6, libc6
Recommends: bpftool, ethtool, iproute2, systemd
Description: network gateway that forecasts
 ${description}.
`,
);
put('DEBIAN/conffiles', '/etc/tidegate/gateway.yaml\n');
for (const script of ['postinst', 'prerm', 'postrm'])
  put(`DEBIAN/${script}`, readFileSync(join(root, 'deploy/debian', script)), 0o755);

const file = join(output, `tidegate_${version}_${architecture}.deb`);
execFileSync('dpkg-deb', ['--root-owner-group', `-Z${compress}`, '--build', tree, file], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
rmSync(tree, { recursive: true });
rmSync(man, { recursive: true });
console.log(file);
