import { describe, expect, it, vi } from "vitest";
import { addressOf, ApiClient } from "./client";
import { ApiProblem, Unreachable } from "./problems";

function answering(status: number, body: unknown, headers: Record<string, string> = {}) {
  return vi.fn<typeof fetch>(() =>
    Promise.resolve(new Response(body === undefined ? null : JSON.stringify(body), { status, headers })),
  );
}

describe("addressOf", () => {
  it("keeps a name in one segment", () => {
    expect(addressOf("/clients/{client_id}", { path: { client_id: "a/b?c" } })).toBe("/clients/a%2Fb%3Fc");
  });

  it("leaves out what is not given and repeats lists", () => {
    const query = { search: "", after: null, limit: 5, kind: ["a", "b"] };
    expect(addressOf("/x", { query })).toBe("/x?limit=5&kind=a&kind=b");
  });

  it("needs every name", () => {
    expect(() => addressOf("/clients/{client_id}", {})).toThrow("client_id");
  });
});

describe("ApiClient", () => {
  it("sends the CSRF token with changes only", async () => {
    const fetcher = answering(204, undefined);
    const client = new ApiClient(fetcher);
    client.csrfToken = "secret";
    await client.post("/api/v1/clients/{client_id}/disconnect", { path: { client_id: "a" }, body: { reason: "" } });
    await client.get("/api/v1/broker", {});
    const sent = fetcher.mock.calls.map(([, init]) => new Headers(init?.headers).get("X-CSRF-Token"));
    expect(sent).toEqual(["secret", null]);
  });

  it("tells of problems with their field", async () => {
    const headers = { "Content-Type": "application/problem+json", "Retry-After": "6" };
    const body = { title: "Bad Request", detail: "expected a number", field: "$.limit", status: 400 };
    const error: unknown = await new ApiClient(answering(400, body, headers)).get("/api/v1/me", {}).catch((e) => e);
    expect(error).toBeInstanceOf(ApiProblem);
    expect(error).toMatchObject({ status: 400, detail: "expected a number", field: "$.limit", retryAfter: 6 });
  });

  it("understands errors that are no problem+json", async () => {
    const error: unknown = await new ApiClient(answering(502, "bad")).get("/api/v1/me", {}).catch((e) => e);
    expect(error).toMatchObject({ status: 502, retryAfter: null });
  });

  it("says that nobody is logged in, but not when a password is wrong", async () => {
    const client = new ApiClient(answering(401, {}));
    client.onLoggedOut = vi.fn();
    await expect(client.post("/api/v1/login", { body: { name: "a", password: "b" } })).rejects.toThrow(ApiProblem);
    expect(client.onLoggedOut).not.toHaveBeenCalled();
    await expect(client.get("/api/v1/broker", {})).rejects.toThrow(ApiProblem);
    expect(client.onLoggedOut).toHaveBeenCalledOnce();
  });

  it("tells a broker that does not answer from one that says no", async () => {
    const client = new ApiClient(() => Promise.reject(new TypeError("failed to fetch")));
    await expect(client.get("/api/v1/broker", {})).rejects.toThrow(Unreachable);
  });
});
