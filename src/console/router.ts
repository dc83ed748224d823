import { computed, signal } from '@preact/signals';

const here = signal(new URL(location.href));

/** The first part of the path: which page. */
export const page = computed(() => here.value.pathname.split('/')[1] ?? '');
/** What follows it. */
export const rest = computed(() => decodeURIComponent(here.value.pathname.split('/')[2] ?? ''));
/** The query: every filter lives in the address, so that a view can be sent to somebody. */
export const query = computed(() => here.value.searchParams);

addEventListener('popstate', () => {
  here.value = new URL(location.href);
});

export function go(path: string, replace = false): void {
  const to = new URL(path, location.href);
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  here.value = to;
}

/** Changes some of the query's values; an empty one is removed. */
export function setQuery(changes: Readonly<Record<string, string>>): void {
  const to = new URL(here.value);
  for (const [name, value] of Object.entries(changes))
    if (value === '') to.searchParams.delete(name);
    else to.searchParams.set(name, value);
  go(to.href, true);
}

/** Links of our own are followed without loading the page anew; modified clicks do what the browser does. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey)
    return;
  const link = (event.target as Element | null)?.closest?.('a');
  if (link?.target !== '' || link.origin !== location.origin) return;
  if (link.pathname.startsWith('/api') || link.hash !== '') return;
  event.preventDefault();
  go(link.href);
}
