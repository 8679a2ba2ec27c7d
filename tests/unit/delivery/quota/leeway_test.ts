import { assertEquals } from "@std/assert";
import { leewayOf, withLeeway } from "../../../../lib/delivery/quota/leeway.ts";

Deno.test("Reports of our own and mail to postmaster may take a tenth more, other mail nothing", () => {
  const alice = { address: "alice@example.org" };
  const mx = { session: { service: "mx" } } as const;
  assertEquals(leewayOf(mx, [alice]), "none");
  assertEquals(leewayOf({ session: { service: "local" } }, [alice]), "grace");
  assertEquals(leewayOf(mx, [{ ...alice, original: "Postmaster@example.org" }]), "grace");
  assertEquals(leewayOf(mx, [alice, { ...alice, original: "postmaster" }]), "grace");
  assertEquals(leewayOf(mx, [{ ...alice, original: "postmaster+x@example.org" }]), "none");
  assertEquals(leewayOf(mx, [{ ...alice, original: "postmasters@example.org" }]), "none");
});

Deno.test("Leeway raises the limits, or takes them away", () => {
  const limits = { octets: 1000, messages: 100 };
  assertEquals(withLeeway(limits, "none"), limits);
  assertEquals(withLeeway(limits, "grace"), { octets: 1100, messages: 110 });
  assertEquals(withLeeway(limits, "any"), {});
});
