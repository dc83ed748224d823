import { sankey, sankeyJustify, sankeyLinkHorizontal } from 'd3-sankey';
import { octets, rate } from '../format.js';
import { setQuery } from '../router.js';
import type { SankeyAnswer } from '../types.js';
import { colourOfKey, QUIET } from './palette.js';
import { Scroll } from './scroll.js';

/** As the API has it; the layout's own `value` is a number, so its name for the filter is `key`. */
type Node = Omit<SankeyAnswer['nodes'][number], 'value'> & { readonly key: string };
interface Flow {
  readonly averageBps: number;
}

const WIDTH = 960;
/** Room for the names on both sides. */
const MARGIN = 150;

const colour = (node: Node): string => (node.kind === 'workload' ? colourOfKey(Number(node.key)) : QUIET);

/** Link → workload → peer, as wide as their octets; a node is a button that filters by it. */
export function Sankey({ answer }: { readonly answer: SankeyAnswer }) {
  const height = Math.max(
    220,
    30 *
      Math.max(
        ...['link', 'workload', 'peer'].map((kind) => answer.nodes.filter((n) => n.kind === kind).length),
      ),
  );
  const layout = sankey<Node, Flow>()
    .nodeId((node) => node.id)
    .nodeAlign(sankeyJustify)
    .nodeWidth(12)
    .nodePadding(17)
    .extent([
      [MARGIN, 4],
      [WIDTH - MARGIN, height - 4],
    ]);
  const graph = layout({
    nodes: answer.nodes.map(({ value, ...node }) => ({ ...node, key: value })),
    links: answer.links.map(({ source, target, octets: value, averageBps }) => ({
      source,
      target,
      value,
      averageBps,
    })),
  });
  const path = sankeyLinkHorizontal<Node, Flow>();
  const label = (end: unknown): string => (end as Node).label;
  return (
    <Scroll of="ways of the traffic">
      <svg class="sankey" viewBox={`0 0 ${WIDTH} ${height}`}>
        <title>{`Traffic from link to workload to peer: ${answer.nodes.length} nodes, ${answer.links.length} ways; the same numbers are in the table of traffic`}</title>
        {graph.links.map((link) => (
          <path
            key={`${(link.source as Node).id} ${(link.target as Node).id}`}
            d={path(link) ?? ''}
            fill="none"
            stroke={colour(
              (link.source as Node).kind === 'workload' ? (link.source as Node) : (link.target as Node),
            )}
            stroke-opacity="0.35"
            stroke-width={Math.max(1, link.width ?? 1)}
          >
            <title>{`${label(link.source)} → ${label(link.target)}: ${octets(link.value)}, ${rate(link.averageBps)} on average`}</title>
          </path>
        ))}
        {graph.nodes.map((node) => {
          const left = node.kind === 'link';
          return (
            // biome-ignore lint/a11y/useSemanticElements: a button cannot be drawn inside an SVG
            <g
              key={node.id}
              role="button"
              tabIndex={0}
              onClick={() => setQuery({ [node.kind]: node.key })}
              onKeyDown={(event) => {
                if (event.key === 'Enter') setQuery({ [node.kind]: node.key });
              }}
            >
              <rect
                x={node.x0 ?? 0}
                y={node.y0 ?? 0}
                width={(node.x1 ?? 0) - (node.x0 ?? 0)}
                height={Math.max(1, (node.y1 ?? 0) - (node.y0 ?? 0))}
                fill={colour(node)}
              >
                <title>{`${node.label}: ${octets(node.octets)}`}</title>
              </rect>
              <text
                x={left ? (node.x0 ?? 0) - 6 : (node.x1 ?? 0) + 6}
                y={((node.y0 ?? 0) + (node.y1 ?? 0)) / 2}
                dy="0.35em"
                text-anchor={left ? 'end' : 'start'}
              >
                {node.label.length > 24 ? `${node.label.slice(0, 23)}…` : node.label}
              </text>
            </g>
          );
        })}
      </svg>
    </Scroll>
  );
}
