import type { ComponentChildren } from 'preact';

/** What may be too large for its place: it scrolls by wheel and, since it can have the focus, by arrow keys. */
export function Scroll({ of, children }: { readonly of: string; readonly children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by keyboard (WCAG 2.1.1)
    <section class="scroll" tabIndex={0} aria-label={`${of} (scrolls)`}>
      {children}
    </section>
  );
}
