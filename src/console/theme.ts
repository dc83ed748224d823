import { signal } from '@preact/signals';

const KEY = 'tidegate-theme';
type Theme = 'light' | 'dark';

const system = matchMedia('(prefers-color-scheme: dark)');
const stored = localStorage.getItem(KEY);

export const theme = signal<Theme>(
  stored === 'light' || stored === 'dark' ? stored : system.matches ? 'dark' : 'light',
);
document.documentElement.dataset.theme = theme.value;

system.addEventListener('change', () => {
  if (localStorage.getItem(KEY) === null) show(system.matches ? 'dark' : 'light');
});

function show(next: Theme): void {
  document.documentElement.dataset.theme = next;
  theme.value = next;
}

export function toggleTheme(): void {
  const next = theme.value === 'dark' ? 'light' : 'dark';
  localStorage.setItem(KEY, next);
  show(next);
}
