// Numbers, sizes and times, as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

export function count(value: number): string {
  return whole.format(value);
}

/** Per second: one digit after the point below 100. */
export function rate(value: number): string {
  return value >= 100 || value === 0 ? whole.format(value) : one.format(value);
}

export function bytes(value: number): string {
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit === 0 || rest >= 100 ? whole.format(rest) : one.format(rest)} ${UNITS[unit] ?? ""}`;
}

/** A short time, of seconds: `0.4 ms`, `12 ms`, `1.3 s`. */
export function latency(seconds: number): string {
  const milliseconds = seconds * 1_000;
  if (milliseconds >= 1_000) return `${one.format(seconds)} s`;
  return `${milliseconds >= 10 || milliseconds === 0 ? whole.format(milliseconds) : one.format(milliseconds)} ms`;
}

/** Seconds as the two greatest units: `3 d 4 h`, `12 min 5 s`. */
export function duration(seconds: number): string {
  const all = Math.max(0, Math.round(seconds));
  const parts: [number, string][] = [
    [Math.floor(all / 86_400), "d"],
    [Math.floor(all / 3_600) % 24, "h"],
    [Math.floor(all / 60) % 60, "min"],
    [all % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(" ");
}

/** How long ago, in one unit: `5 s ago`. Both in seconds since the epoch. */
export function ago(at: number, now: number): string {
  const seconds = now - at;
  if (seconds < 2) return "just now";
  return `${duration(seconds).split(" ").slice(0, 2).join(" ")} ago`;
}

/** A time of day; with the date when it is not today's. In seconds since the epoch. */
export function clock(at: number, now: number = Date.now() / 1000): string {
  const date = new Date(at * 1000);
  const time = date.toLocaleTimeString("en-GB");
  return date.toDateString() === new Date(now * 1000).toDateString() ? time : `${isoDate(date)} ${time}`;
}

function isoDate(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
