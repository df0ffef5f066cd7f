// Lines over time, on a canvas. What the canvas shows is told in words beside it, and as a table for whoever wants one.
import type { JSX } from "preact";
import { useSignalEffect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { theme } from "../theme";
import "./plot.css";

export interface Line {
  name: string;
  /** Which of the colours of plot.css. */
  tone: "first" | "second";
  show: (value: number) => string;
}

/** Times, then the values of each line. */
export type PlotData = (number | null)[][];

/** Plots with the same `group` have one crosshair. `seconds` is how far back the axis goes from the last time. */
export function Plot(props: {
  lines: readonly Line[];
  data: PlotData;
  seconds: number;
  summary: string;
  group: string;
  /** Values are whole numbers. */
  whole?: boolean;
  height?: number;
}): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const marks = useRef<(HTMLElement | null)[]>([]);
  const plot = useRef<UPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [at, setAt] = useState<number | null>(null);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = new UPlot(
      optionsOf(element, latest, (index) => getComputedStyle(marks.current[index] ?? element).color, setAt),
      latest.current.data as UPlot.AlignedData,
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize(sizeOf(element, latest.current.height)));
    resized.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const redraw = (): void => made.redraw(false, true);
    scheme.addEventListener("change", redraw);
    return () => {
      scheme.removeEventListener("change", redraw);
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, []);

  useEffect(() => plot.current?.setData(props.data as UPlot.AlignedData), [props.data]);
  useSignalEffect(() => {
    void theme.value;
    plot.current?.redraw(false, true);
  });

  const times = props.data[0] ?? [];
  const index = at !== null && at < times.length ? at : null;
  const time = index === null ? null : times[index];
  return (
    <figure class="plot">
      <figcaption class="unseen">{props.summary}</figcaption>
      <div class="legend" aria-hidden="true">
        {props.lines.map((line, place) => {
          const values = props.data[place + 1] ?? [];
          const value = index === null ? lastOf(values) : values[index];
          return (
            <span key={line.name} class="entry">
              <i class={line.tone} ref={(element) => void (marks.current[place] = element)} />
              {line.name}
              <b class="number">{value === null || value === undefined ? "–" : line.show(value)}</b>
            </span>
          );
        })}
        <span class="when number muted">
          {time === null || time === undefined ? "" : timeOf(time, props.seconds, true)}
        </span>
      </div>
      <div class="canvas" aria-hidden="true" ref={box} />
    </figure>
  );
}

function lastOf(values: readonly (number | null)[]): number | null {
  return values.filter((each) => each !== null).at(-1) ?? null;
}

function sizeOf(element: HTMLElement, height = 180): { width: number; height: number } {
  return { width: Math.max(120, element.clientWidth), height };
}

function timeOf(at: number, seconds: number, whole = false): string {
  return new Date(at * 1000).toLocaleTimeString("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    ...(whole && seconds <= 3_600 ? { second: "2-digit" } : {}),
  });
}

function optionsOf(
  element: HTMLElement,
  latest: { current: Parameters<typeof Plot>[0] },
  colorOf: (line: number) => string,
  setAt: (index: number | null) => void,
): UPlot.Options {
  const styles = getComputedStyle(element);
  const props = latest.current;
  // Colours are read each time anew, since they follow the theme: of the text and the border of the box.
  const axis: UPlot.Axis = {
    stroke: () => styles.color,
    font: `11px ${styles.fontFamily}`,
    grid: { stroke: () => styles.borderTopColor, width: 1 },
    ticks: { show: false },
  };
  return {
    ...sizeOf(element, props.height),
    legend: { show: false },
    padding: [10, 4, 0, 0],
    cursor: {
      sync: { key: props.group },
      drag: { x: false, y: false, setScale: false },
      y: false,
      points: { size: 7 },
    },
    scales: {
      x: {
        time: true,
        range: (_, _least, most) => {
          const end = Number.isFinite(most) ? most : Date.now() / 1000;
          return [end - latest.current.seconds, end];
        },
      },
      y: { range: (_, _least, most) => [0, Math.max(latest.current.whole ? 4 : 1, (most || 0) * 1.1)] },
    },
    axes: [
      {
        ...axis,
        size: 26,
        gap: 6,
        space: 70,
        grid: { show: false },
        values: (_, splits) => splits.map((each) => timeOf(each, latest.current.seconds)),
      },
      {
        ...axis,
        size: (plot, values) => Math.max(30, ...(values ?? []).map((each) => each.length * 6.5 + 14)) || plot.width / 8,
        gap: 6,
        space: 36,
        ...(props.whole ? { incrs: WHOLE } : {}),
        values: (_, splits) => splits.map(compact),
      },
    ],
    series: [
      {},
      ...props.lines.map((line, index): UPlot.Series => ({
        label: line.name,
        stroke: () => colorOf(index),
        width: 1.75,
        points: { show: (plot) => (plot.data[0]?.length ?? 0) < 2 },
      })),
    ],
    hooks: {
      setCursor: [(plot) => setAt(plot.cursor.idx ?? null)],
    },
  };
}

const WHOLE = [1, 2, 5]
  .flatMap((each) => Array.from({ length: 9 }, (_, power) => each * 10 ** power))
  .sort((a, b) => a - b);

function compact(value: number): string {
  if (value >= 1_000_000) return `${value / 1_000_000} M`;
  if (value >= 10_000) return `${value / 1_000} k`;
  return String(Math.round(value * 1_000) / 1_000);
}
