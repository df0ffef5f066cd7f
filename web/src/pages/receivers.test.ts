import { expect, it } from "vitest";
import type { Receiver } from "../api/types";
import { findings, summary, whyNobody } from "./receivers";

const receiver = (more: Partial<Receiver>): Receiver => ({
  id: "a",
  client_id: "a",
  mount_point: "",
  username: null,
  connected: true,
  share: null,
  filters: ["t"],
  qos: 1,
  outcome: "sent",
  rule: "everything is allowed",
  ...more,
});

it("tells the QoS that counts", () => {
  const [found] = findings([receiver({ qos: 0 })], 2);
  expect(found?.qos).toBe(0);
  expect(found?.because).toContain("granted no more than QoS 0");
});

it("puts those first who receive it, and says why others do not", () => {
  const found = findings(
    [receiver({ id: "d", outcome: "denied" }), receiver({ id: "l", outcome: "lost", qos: 0 }), receiver({ id: "s" })],
    1,
  );
  expect(found.map((each) => [each.receiver.id, each.gets])).toEqual([
    ["s", true],
    ["d", false],
    ["l", false],
  ]);
  expect(found[2]?.because).toContain("QoS 0");
});

it("counts the members of a shared group", () => {
  const shared = { share: "g", filters: ["$share/g/t"] };
  const found = findings(
    [
      receiver({ id: "1", ...shared }),
      receiver({ id: "2", ...shared }),
      receiver({ id: "3", ...shared, outcome: "denied" }),
    ],
    1,
  );
  expect(found[0]?.because).toContain("one of the 2 members of g");
  expect(summary(found)).toBe("It would go to one member of a group. 1 would not get it, although subscribed.");
});

it("has ideas where there is nobody", () => {
  expect(whyNobody("/a/")).toHaveLength(4);
  expect(whyNobody("$SYS/x")[0]).toContain("$");
  expect(whyNobody("a")).toHaveLength(2);
});
