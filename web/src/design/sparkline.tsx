// A line without axes, of the last values. What it says is also told as text beside it.
import type { JSX } from "preact";

export function Sparkline({ values, length }: { values: readonly number[]; length: number }): JSX.Element {
  const most = Math.max(1, ...values);
  const points = values.map((value, index) => {
    const x = ((length - values.length + index) / Math.max(1, length - 1)) * 100;
    return [x, 30 - (value / most) * 28] as const;
  });
  const line = points.map(([x, y], index) => `${index === 0 ? "M" : "L"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
  const start = points[0]?.[0] ?? 0;
  return (
    <svg class="sparkline" viewBox="0 0 100 31" preserveAspectRatio="none" aria-hidden="true">
      <path class="base" d="M0 30.5H100" />
      {points.length > 1 && <path class="area" d={`${line}L100 31L${start.toFixed(2)} 31Z`} />}
      <path class="line" d={line} />
    </svg>
  );
}
