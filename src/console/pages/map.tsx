import { useEffect, useRef, useState } from 'preact/hooks';
import { count, percent } from '../format.js';
import { go } from '../router.js';
import { theme } from '../theme.js';
import type { FingerprintMap } from '../types.js';
import { Card, Waiting } from '../ui/card.js';
import { colourOfKey, QUIET } from '../ui/palette.js';
import { useData } from '../use-data.js';

interface Box {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/** Flows in two dimensions: alike is near. A brush counts what it holds and goes to those workloads' traffic. */
export function MapPage() {
  const map = useData<FingerprintMap>('/api/fingerprints/map', 5000);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [brush, setBrush] = useState<Box | undefined>();
  const start = useRef<readonly [number, number] | undefined>(undefined);
  const { data } = map;
  const extent = data === undefined ? undefined : extentOf(data);
  const dark = theme.value;
  useEffect(() => {
    if (canvas.current && data && extent) draw(canvas.current, data, extent, brush);
  }, [data, brush, dark]);
  const at = (event: PointerEvent): readonly [number, number] => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const inside = (data?.points ?? []).filter((point) => {
    if (brush === undefined || extent === undefined) return false;
    const [x, y] = place(point, extent);
    return x >= brush.x0 && x <= brush.x1 && y >= brush.y0 && y <= brush.y1;
  });
  const counts = new Map<number, number>();
  for (const point of inside) counts.set(point.workloadId, (counts.get(point.workloadId) ?? 0) + 1);
  const held = [...counts].sort((a, b) => b[1] - a[1]);
  const nameOf = (id: number): string =>
    data?.workloads.find((w) => w.workloadId === id)?.name ?? 'unclassified';
  return (
    <div class="grid">
      <Card title="Recent flows by likeness" sql={data?.sql ?? []} wide>
        <Waiting of={map} {...(data?.basis === null ? { empty: 'Too few flows yet to have axes.' } : {})} />
        {data?.basis && (
          <>
            <canvas
              ref={canvas}
              class="map"
              role="img"
              aria-label={`${data.points.length} flows of ${data.workloads.length} workloads; the list below names them`}
              onPointerDown={(event) => {
                start.current = at(event);
                setBrush(undefined);
                event.currentTarget.setPointerCapture(event.pointerId);
              }}
              onPointerMove={(event) => {
                if (start.current === undefined) return;
                const [x, y] = at(event);
                const [x0, y0] = start.current;
                setBrush({
                  x0: Math.min(x, x0),
                  x1: Math.max(x, x0),
                  y0: Math.min(y, y0),
                  y1: Math.max(y, y0),
                });
              }}
              onPointerUp={() => {
                start.current = undefined;
              }}
            />
            <p class="muted">
              {count(data.points.length)} flows; the axes carry{' '}
              {data.basis.explained.map((share) => percent(share)).join(' and ')} of the variance and stay
              between looks. Drag to choose an area.
            </p>
          </>
        )}
      </Card>
      {held.length > 0 && (
        <Card title={`${count(inside.length)} flows chosen`}>
          <ul>
            {held.map(([id, n]) => (
              <li key={id}>
                <span class="swatch" style={{ background: id === 0 ? QUIET : colourOfKey(id) }} />
                {nameOf(id)}: {count(n)}
              </li>
            ))}
          </ul>
          <button
            type="button"
            class="primary"
            onClick={() => go(`/flows?workload=${held.map(([id]) => id).join(',')}`)}
          >
            Show their traffic
          </button>
        </Card>
      )}
      {data && (
        <Card title="Workloads" sql={data.sql} wide>
          <ul class="columns">
            {data.workloads.map((w) => (
              <li key={w.workloadId}>
                <span class="swatch" style={{ background: colourOfKey(w.workloadId) }} />
                <a href={`/workloads/${w.workloadId}`}>{w.name}</a>{' '}
                <a href={`/flows?workload=${w.workloadId}`} aria-label={`traffic of ${w.name}`}>
                  traffic
                </a>{' '}
                {w.isNew && <span class="badge good">new</span>}
              </li>
            ))}
          </ul>
        </Card>
      )}
    </div>
  );
}

const PAD = 0.04;
/** Pixels between labels. */
const LINE_HEIGHT = 14;

function extentOf({ points, workloads }: FingerprintMap): Box {
  const all = [...points, ...workloads];
  const of = (pick: (p: { x: number; y: number }) => number, best: (...n: number[]) => number): number =>
    all.reduce((so, p) => best(so, pick(p)), all[0] ? pick(all[0]) : 0);
  return {
    x0: of((p) => p.x, Math.min),
    x1: of((p) => p.x, Math.max),
    y0: of((p) => p.y, Math.min),
    y1: of((p) => p.y, Math.max),
  };
}

/** A point as shares of the canvas. */
const place = (p: { readonly x: number; readonly y: number }, e: Box): readonly [number, number] => [
  PAD + ((p.x - e.x0) / Math.max(1e-9, e.x1 - e.x0)) * (1 - 2 * PAD),
  PAD + (1 - (p.y - e.y0) / Math.max(1e-9, e.y1 - e.y0)) * (1 - 2 * PAD),
];

function draw(canvas: HTMLCanvasElement, data: FingerprintMap, extent: Box, brush: Box | undefined): void {
  const ratio = window.devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const g = canvas.getContext('2d');
  if (g === null) return;
  g.scale(ratio, ratio);
  const ink = getComputedStyle(canvas).color;
  const paper = getComputedStyle(document.documentElement).getPropertyValue('--paper');
  g.globalAlpha = 0.55;
  for (const point of data.points) {
    const [x, y] = place(point, extent);
    g.fillStyle = point.workloadId === 0 ? QUIET : colourOfKey(point.workloadId);
    g.fillRect(x * width - 1.5, y * height - 1.5, 3, 3);
  }
  g.globalAlpha = 1;
  g.font = '12px system-ui';
  g.lineWidth = 2;
  // From the top down: a label that would lie on another goes below it.
  const taken: { left: number; right: number; y: number }[] = [];
  const placed = data.workloads
    .map((w) => ({ ...w, at: place(w, extent) }))
    .sort((a, b) => a.at[1] - b.at[1]);
  for (const w of placed) {
    const [x, y] = w.at;
    g.strokeStyle = colourOfKey(w.workloadId);
    g.setLineDash(w.hasChanged ? [3, 3] : []);
    g.beginPath();
    g.arc(x * width, y * height, w.isNew ? 11 : 7, 0, 2 * Math.PI);
    g.stroke();
    g.fillStyle = ink;
    const words = w.isNew ? `${w.name} (new)` : w.name;
    // Beside the right edge there is room on the left only.
    const left = x * width + 12 + g.measureText(words).width > width;
    const from = x * width + (left ? -14 - g.measureText(words).width : 14);
    const label = { left: from, right: from + g.measureText(words).width, y: y * height + 4 };
    const onAnother = (): { y: number } | undefined =>
      taken.find(
        (t) => t.left < label.right && label.left < t.right && Math.abs(t.y - label.y) < LINE_HEIGHT,
      );
    for (let other = onAnother(); other !== undefined; other = onAnother()) label.y = other.y + LINE_HEIGHT;
    taken.push(label);
    if (label.y > y * height + LINE_HEIGHT) {
      g.lineWidth = 1;
      g.beginPath();
      g.moveTo(x * width + (left ? -7 : 7), y * height + 4);
      g.lineTo(left ? label.right + 2 : from - 2, label.y - 4);
      g.stroke();
      g.lineWidth = 2;
    }
    // A rim of the ground keeps it readable over points.
    g.save();
    g.setLineDash([]);
    g.lineWidth = 3;
    g.strokeStyle = paper;
    g.strokeText(words, from, label.y);
    g.restore();
    g.fillText(words, from, label.y);
  }
  g.setLineDash([]);
  if (brush) {
    g.strokeStyle = ink;
    g.lineWidth = 1;
    g.strokeRect(
      brush.x0 * width,
      brush.y0 * height,
      (brush.x1 - brush.x0) * width,
      (brush.y1 - brush.y0) * height,
    );
  }
}
