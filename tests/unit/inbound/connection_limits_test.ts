import { assertEquals } from "@std/assert";
import { ConnectionLimits } from "../../../lib/inbound/connection_limits.ts";

Deno.test("connections are limited in all and by client", () => {
  const limits = new ConnectionLimits();
  const settings = { connections: 3, connectionsPerIp: 2 };
  assertEquals(limits.enter("192.0.2.1", settings), undefined);
  assertEquals(limits.enter("192.0.2.1", settings), undefined);
  assertEquals(limits.enter("192.0.2.1", settings), "client");
  assertEquals(limits.enter("192.0.2.2", settings), undefined);
  assertEquals(limits.enter(undefined, settings), "total");
  limits.leave("192.0.2.1");
  assertEquals(limits.enter("192.0.2.1", settings), undefined);
  assertEquals(limits.total, 3);
});

Deno.test("all addresses of an IPv6 /64 are one client", () => {
  const limits = new ConnectionLimits();
  const settings = { connections: 9, connectionsPerIp: 1 };
  assertEquals(limits.enter("2001:db8::1", settings), undefined);
  assertEquals(limits.enter("2001:db8:0:0:ffff::2", settings), "client");
  assertEquals(limits.enter("2001:db8:0:1::1", settings), undefined);
});
