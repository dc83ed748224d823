/** Okabe and Ito (2008): told apart by the colour-blind too, and on light and dark grounds. */
const COLOURS = [
  '#0072b2',
  '#e69f00',
  '#009e73',
  '#cc79a7',
  '#56b4e9',
  '#d55e00',
  '#8a7f00',
  '#7a5cc0',
  '#5b8c5a',
  '#a0522d',
] as const;

export const colourOf = (index: number): string => COLOURS[index % COLOURS.length] ?? COLOURS[0];
export const QUIET = '#8a94a0';

/** The same key has the same colour on every page. */
export const colourOfKey = (key: number): string => colourOf(Math.max(0, key - 1));
