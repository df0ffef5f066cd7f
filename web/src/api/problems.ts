// What can go wrong with a request: the server says no (ApiProblem), or there is no answer (Unreachable).

export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    /** Which part of the request is meant, as a path: `$.messages[0].qos`. */
    readonly field: string | null = null,
    /** Seconds after which to try again. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail || title);
    this.name = "ApiProblem";
  }
}

export class Unreachable extends Error {
  constructor(cause: unknown) {
    super("The broker cannot be reached.", { cause });
    this.name = "Unreachable";
  }
}

/** Whether what is shown gets old by it: the broker, or a proxy before it, could not answer. */
export function isOutage(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof ApiProblem && error.status >= 500);
}

/** The problem that an answer tells of. Proxies on the way may answer with something else than problem+json. */
export async function problemOf(response: Response): Promise<ApiProblem> {
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds : null;
  let title = response.statusText || `Status ${response.status}`;
  let detail = "";
  let field: string | null = null;
  if ((response.headers.get("Content-Type") ?? "").startsWith("application/problem+json")) {
    const body: unknown = await response.json().catch(() => null);
    if (isObject(body)) {
      if (typeof body["title"] === "string") title = body["title"];
      if (typeof body["detail"] === "string") detail = body["detail"];
      if (typeof body["field"] === "string") field = body["field"];
    }
  }
  return new ApiProblem(response.status, title, detail, field, retryAfter);
}

/** What to tell people of any error. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return "Something went wrong.";
  const text = error.message;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
