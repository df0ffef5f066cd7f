// The HTTP API, typed by its own description (schema.d.ts): a path that is not there, or a field of the wrong type, is
// an error of the compiler.
import type { paths } from "./schema";
import { ApiProblem, problemOf, Unreachable } from "./problems";

type Method = "get" | "post" | "put" | "delete";
type With<M extends Method> = {
  [P in keyof paths]: paths[P][M] extends { responses: unknown } ? P : never;
}[keyof paths];
type Operation<P extends keyof paths, M extends Method> = NonNullable<paths[P][M]>;
type Json<R> = R extends { content: { "application/json": infer T } } ? T : void;
type Answer<O> = O extends { responses: infer R }
  ? R extends { 200: infer A }
    ? Json<A>
    : R extends { 201: infer A }
      ? Json<A>
      : void
  : never;
type Given<O> = (O extends { parameters: { path: infer T } } ? { path: T } : { path?: never }) &
  (O extends { parameters: { query: infer T } }
    ? { query: T }
    : O extends { parameters: { query?: infer T } }
      ? { query?: NonNullable<T> }
      : { query?: never }) &
  (O extends { requestBody: { content: { "application/json": infer T } } } ? { body: T } : { body?: never }) & {
    signal?: AbortSignal;
  };

interface Request {
  path?: Record<string, string | number>;
  query?: object;
  body?: unknown;
  signal?: AbortSignal;
}

/** Milliseconds after which a request is given up. */
const TIMEOUT = 15_000;

export class ApiClient {
  /** Of the session. Without it the server lets nobody change anything. */
  csrfToken: string | null = null;
  /** Called when an answer says that nobody is logged in (any more). */
  onLoggedOut: () => void = () => undefined;

  constructor(
    private readonly fetcher: typeof fetch = (input, init) => fetch(input, init),
    private readonly timeout: number = TIMEOUT,
  ) {}

  get<P extends With<"get">>(path: P, given: Given<Operation<P, "get">>): Promise<Answer<Operation<P, "get">>> {
    return this.send("GET", path, given as Request) as Promise<Answer<Operation<P, "get">>>;
  }

  post<P extends With<"post">>(path: P, given: Given<Operation<P, "post">>): Promise<Answer<Operation<P, "post">>> {
    return this.send("POST", path, given as Request) as Promise<Answer<Operation<P, "post">>>;
  }

  put<P extends With<"put">>(path: P, given: Given<Operation<P, "put">>): Promise<Answer<Operation<P, "put">>> {
    return this.send("PUT", path, given as Request) as Promise<Answer<Operation<P, "put">>>;
  }

  delete<P extends With<"delete">>(
    path: P,
    given: Given<Operation<P, "delete">>,
  ): Promise<Answer<Operation<P, "delete">>> {
    return this.send("DELETE", path, given as Request) as Promise<Answer<Operation<P, "delete">>>;
  }

  private async send(method: string, path: string, given: Request): Promise<unknown> {
    const headers: Record<string, string> = { Accept: "application/json" };
    if (given.body !== undefined) headers["Content-Type"] = "application/json";
    if (method !== "GET" && this.csrfToken !== null) headers["X-CSRF-Token"] = this.csrfToken;
    const limit = AbortSignal.timeout(this.timeout);
    const init: RequestInit = {
      method,
      headers,
      credentials: "same-origin",
      signal: given.signal ? AbortSignal.any([given.signal, limit]) : limit,
    };
    if (given.body !== undefined) init.body = JSON.stringify(given.body);
    try {
      const response = await this.fetcher(addressOf(path, given), init);
      if (!response.ok) throw await problemOf(response);
      const text = response.status === 204 ? "" : await response.text();
      return text === "" ? undefined : (JSON.parse(text) as unknown);
    } catch (error) {
      if (error instanceof ApiProblem) {
        if (error.status === 401 && path !== "/api/v1/login") this.onLoggedOut();
        throw error;
      }
      if (given.signal?.aborted) throw error;
      throw new Unreachable(error);
    }
  }
}

/** The address of a request: names are one segment each, and what is not given is left out of the query. */
export function addressOf(path: string, given: Pick<Request, "path" | "query">): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, key: string) => {
    const value = given.path?.[key];
    if (value === undefined) throw new Error(`${path} needs ${key}`);
    return encodeURIComponent(value);
  });
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(given.query ?? {})) {
    for (const each of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (each !== undefined && each !== null && each !== "") query.append(key, String(each));
    }
  }
  const text = query.toString();
  return text ? `${filled}?${text}` : filled;
}

export const api = new ApiClient();
