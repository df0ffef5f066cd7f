/** The rows of a long list that are in sight: `first` to `last`, the latter not included. All sizes in pixels. */
export function rowsInSight(
  rows: number,
  rowHeight: number,
  /** Where the list begins, from the top of the viewport: negative when it is scrolled up. */
  top: number,
  viewport: number,
  /** Rows beyond, so that none is missing while scrolling. */
  beyond = 8,
): { first: number; last: number } {
  const first = Math.min(rows, Math.max(0, Math.floor(-top / rowHeight) - beyond));
  const last = Math.max(first, Math.min(rows, Math.ceil((viewport - top) / rowHeight) + beyond));
  return { first, last };
}
