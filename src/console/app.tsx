import type { ComponentType } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { setToken, token } from './api.js';
import { connected, listen, status } from './live.js';
import { CostPage } from './pages/cost.js';
import { FlowsPage } from './pages/flows.js';
import { ForecastPage } from './pages/forecast.js';
import { HealthPage } from './pages/health.js';
import { MapPage } from './pages/map.js';
import { OverviewPage } from './pages/overview.js';
import { PlanPage } from './pages/plan.js';
import { WorkloadsPage } from './pages/workloads.js';
import { followLinks, go, page } from './router.js';
import { theme, toggleTheme } from './theme.js';
import { SqlDialog } from './ui/sql-dialog.js';

const PAGES: readonly { readonly path: string; readonly name: string; readonly show: ComponentType }[] = [
  { path: '', name: 'Overview', show: OverviewPage },
  { path: 'flows', name: 'Flows', show: FlowsPage },
  { path: 'workloads', name: 'Workloads', show: WorkloadsPage },
  { path: 'map', name: 'Fingerprint map', show: MapPage },
  { path: 'forecast', name: 'Forecast', show: ForecastPage },
  { path: 'plan', name: 'Plan', show: PlanPage },
  { path: 'cost', name: 'Cost', show: CostPage },
  { path: 'health', name: 'Health', show: HealthPage },
];

/** Digits go to a page, unless somebody is writing. */
function onKey(event: KeyboardEvent): void {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  if ((event.target as Element | null)?.closest?.('input, select, textarea, dialog')) return;
  const chosen = PAGES[Number(event.key) - 1];
  if (/^[1-8]$/.test(event.key) && chosen) go(`/${chosen.path}`);
}

function TokenField() {
  const input = useRef<HTMLInputElement>(null);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        setToken(input.current?.value.trim() ?? '');
      }}
    >
      <input
        ref={input}
        type="password"
        placeholder="Token"
        aria-label="API token"
        size={12}
        value={token.value}
      />
    </form>
  );
}

export function App() {
  const secret = token.value;
  useEffect(() => listen(), [secret]);
  useEffect(() => {
    document.addEventListener('keydown', onKey);
    document.addEventListener('click', followLinks);
    return () => {
      document.removeEventListener('keydown', onKey);
      document.removeEventListener('click', followLinks);
    };
  }, []);
  const at = PAGES.find(({ path }) => path === page.value);
  const name = at?.name ?? 'Not found';
  useEffect(() => {
    document.title = `${name} · ${status.value?.gateway ?? 'Tidegate'}`;
  });
  const Page = at?.show;
  return (
    <div class="shell">
      <a class="skip" href="#content">
        Skip to content
      </a>
      <nav class="side" aria-label="Pages">
        <span class="brand">
          <img src="/icon.svg" alt="" />
          Tidegate
        </span>
        {PAGES.map(({ path, name: title }, i) => (
          <a
            key={path}
            href={`/${path}`}
            title={`Key ${i + 1}`}
            {...(page.value === path ? { 'aria-current': 'page' as const } : {})}
          >
            {title}
          </a>
        ))}
        <div class="foot">
          <a href="/api/docs" target="_blank" rel="noreferrer">
            API
          </a>
          <button type="button" onClick={toggleTheme}>
            {theme.value === 'dark' ? 'Light' : 'Dark'}
          </button>
          <TokenField />
        </div>
      </nav>
      <main id="content" tabIndex={-1}>
        <div class="top">
          <h1>{name}</h1>
          <span role="status" class={connected.value ? 'muted' : 'bad'}>
            {connected.value
              ? `${status.value?.gateway ?? ''} · live`
              : 'not connected to the gateway; trying again'}
          </span>
        </div>
        {Page ? <Page /> : <p>There is no such page.</p>}
      </main>
      <SqlDialog />
    </div>
  );
}
