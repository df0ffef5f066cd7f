// One trace that the page has begun: what has come of it so far, and whether it goes on.
import { signal } from "@preact/signals";
import { addressOfTrace, ENDS, type Line, readTrace, type Row, type Target } from "./trace-lines";

/** Milliseconds in which what comes is gathered before it is shown. */
const GATHER = 100;

export class TraceRun {
  readonly state = signal<"idle" | "starting" | "running" | "ended">("idle");
  /** Grows in place; `shown` says that there is more. */
  rows: Row[] = [];
  readonly shown = signal(0);
  readonly error = signal<unknown>(null);
  /** Why it has ended, as a sentence. */
  readonly ended = signal("");
  /** Milliseconds since the epoch, by this machine's clock. */
  endsAt = 0;
  private control: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly read: typeof readTrace = readTrace) {}

  async start(target: Target, seconds: number, preview: number): Promise<void> {
    this.stop();
    const control = new AbortController();
    this.control = control;
    this.rows = [];
    this.shown.value = 0;
    this.error.value = null;
    this.ended.value = "";
    this.state.value = "starting";
    this.endsAt = Date.now() + seconds * 1000;
    try {
      await this.read(addressOfTrace(target, seconds, preview), (lines) => this.take(lines, control), control.signal);
      if (control !== this.control) return;
      this.ended.value ||= "The broker has ended it.";
    } catch (error) {
      if (control !== this.control) return;
      this.error.value = error;
    }
    this.control = null;
    this.show();
    this.state.value = "ended";
  }

  /** What has come stays. */
  stop(): void {
    if (this.control === null) return;
    this.control.abort();
    this.control = null;
    this.show();
    this.ended.value = "You have stopped it.";
    this.state.value = "ended";
  }

  clear(): void {
    this.rows = [];
    this.show();
  }

  private take(lines: Line[], control: AbortController): void {
    if (control !== this.control) return;
    for (const line of lines) {
      if (line.kind === "begin") this.state.value = "running";
      else if (line.kind === "end") this.ended.value = ENDS[line.reason] ?? line.reason;
      else this.rows.push(line);
    }
    this.timer ??= setTimeout(() => this.show(), GATHER);
  }

  private show(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.shown.value = this.rows.length;
  }
}
